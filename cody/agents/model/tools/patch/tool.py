"""`apply_patch`: all of a patch, or nothing of it."""

from typing import Annotated

from pydantic import Field

from cody.agents.model.tools.arguments import Arguments
from cody.agents.model.tools.files import Done, FileTool
from cody.agents.model.tools.folder import Folder
from cody.agents.model.tools.patch.draft import Draft
from cody.agents.model.tools.patch.editing import edited
from cody.agents.model.tools.patch.grammar import Add, Change, Delete, Update, parse
from cody.agents.reports import Report
from cody.agents.scan import shown
from cody.contract.payloads import FileDeleted, FileWritten

DESCRIPTION = """Change files by a patch: add, delete, update and move files. Either all of the patch is applied or \
nothing. The format, with paths relative to the working directory:

*** Begin Patch
*** Add File: notes/new.txt
+every line of a new file begins with a plus
*** Update File: src/old_name.py
*** Move to: src/new_name.py
@@ def greet(name):
     text = "Hello, " + name
-    print(text)
+    log(text)
     return text
*** Delete File: obsolete.txt
*** End Patch

`*** Move to:` is optional. An update has one or more hunks, in the order of the file. The lines of a hunk \
begin with a blank (kept), `-` (removed) or `+` (added); give about three kept lines around a change. A hunk begins \
with `@@`, or with `@@` and a whole line of the file, such as a function's head, after which it is to be found. After \
the last line of a hunk `*** End of File` says that it is at the end of the file. There are no line numbers."""


class ApplyPatch(Arguments):
    """What `apply_patch` takes."""

    patch: Annotated[str, Field(description="The patch, from `*** Begin Patch` to `*** End Patch`.")]


def _apply(folder: Folder, asked: ApplyPatch) -> Done:
    draft = Draft(folder)
    told = [_change(draft, change) for change in parse(asked.patch)]
    draft.apply()
    reports = [
        *(Report("file_written", FileWritten(path=shown(place.path), bytes=size)) for place, size in draft.written()),
        *(Report("file_deleted", FileDeleted(path=shown(place.path))) for place in draft.deleted()),
    ]
    return Done("\n".join(["the patch is applied:", *told]), tuple(reports))


def _change(draft: Draft, change: Change) -> str:
    """Work one change into the draft; what to say of it."""
    match change:
        case Add(path, text):
            draft.add(path, text.encode())
            return f"A {path}"
        case Delete(path):
            draft.delete(path)
            return f"D {path}"
        case Update(path, new):
            content = _updated(draft, change)
            if new is None:
                draft.change(path, content)
                return f"M {path}"
            draft.delete(path)
            draft.add(new, content, like=path)
            return f"M {path} -> {new}"


def _updated(draft: Draft, change: Update) -> bytes:
    # What is not UTF-8 passes through as surrogates (PEP 383); no patch can hold those.
    old = draft.read(change.path).decode(errors="surrogateescape")
    return edited(old, change.hunks, change.path).encode(errors="surrogateescape")


APPLY_PATCH = FileTool("apply_patch", DESCRIPTION, ApplyPatch, _apply)

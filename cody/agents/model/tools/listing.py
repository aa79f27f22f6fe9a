"""`list_dir`: the names in a directory, sorted as a whole before any of them is left out."""

import os
from typing import Annotated

from pydantic import Field

from cody.agents.model.tools.arguments import Arguments
from cody.agents.model.tools.files import MAX_TEXT_BYTES, Done, FileTool
from cody.agents.model.tools.folder import Folder
from cody.agents.model.tools.tool import Refusal
from cody.agents.scan import shown

DEFAULT_ENTRIES = 500


class ListDir(Arguments):
    """What `list_dir` takes."""

    path: Annotated[str, Field(description="The directory, relative to the working directory; `.` for that itself.")]
    offset: Annotated[int | None, Field(ge=0, description="The first entry to list, counted from 1 (the default).")] = (
        None
    )
    limit: Annotated[
        int | None, Field(ge=1, description=f"How many entries to list, {DEFAULT_ENTRIES} unless told.")
    ] = None


def _list(folder: Folder, asked: ListDir) -> Done:
    place = folder.place(asked.path)
    with folder.directory(place.parts) as fd, os.scandir(fd) as entries:
        names = sorted((entry.name, _mark(entry)) for entry in entries)
    first = asked.offset or 1
    if not names:
        return Done("[the directory is empty]")
    if first > len(names):
        raise Refusal(f"offset {first} is beyond the end: the directory has {len(names)} entries")
    return Done(_text(names, first, asked.limit or DEFAULT_ENTRIES))


def _text(names: list[tuple[str, str]], first: int, limit: int) -> str:
    lines: list[str] = []
    room = MAX_TEXT_BYTES
    for name, mark in names[first - 1 : first - 1 + limit]:
        line = f"{_printable(name)}{mark}"
        room -= len(line.encode()) + 1
        if room < 0:
            break
        lines.append(line)
    last = first + len(lines) - 1
    if last < len(names):
        lines.append(f"[entries {first} to {last} of {len(names)}; list the others with offset {last + 1}]")
    return "\n".join(lines)


def _mark(entry: "os.DirEntry[str]") -> str:
    if entry.is_symlink():
        return "@"
    return "/" if entry.is_dir(follow_symlinks=False) else ""


def _printable(name: str) -> str:
    """A name on one line: a character that would break it is shown as `?`, as ls(1) does."""
    return "".join(character if character.isprintable() else "?" for character in shown(name))


LIST_DIR = FileTool(
    "list_dir",
    "List what is in a directory: one name a line, sorted; a directory ends in `/`, a symlink in `@`. A listing that"
    " does not fit into one answer says so at the end, in square brackets, with the offset to go on from.",
    ListDir,
    _list,
)

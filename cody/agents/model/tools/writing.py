"""`write_file`: a whole file in one step; nobody ever sees half of it."""

from typing import Annotated

from pydantic import Field

from cody.agents.model.tools.arguments import Arguments
from cody.agents.model.tools.files import Done, FileTool
from cody.agents.model.tools.folder import Folder
from cody.agents.reports import Report
from cody.agents.scan import shown
from cody.contract.payloads import FileWritten


class WriteFile(Arguments):
    """What `write_file` takes."""

    path: Annotated[str, Field(description="The file, relative to the working directory; missing folders are made.")]
    content: Annotated[str, Field(description="The whole new text of the file.")]


def _write(folder: Folder, asked: WriteFile) -> Done:
    place = folder.place(asked.path)
    data = asked.content.encode()
    folder.write(place, data)
    payload = FileWritten(path=shown(place.path), bytes=len(data))
    return Done(f"wrote {len(data)} bytes to {asked.path}", (Report("file_written", payload),))


WRITE_FILE = FileTool(
    "write_file",
    "Write a text file: makes it, or replaces all of its content. To change parts of a file use apply_patch.",
    WriteFile,
    _write,
)

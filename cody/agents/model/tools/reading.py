"""`read_file`: a file's text as it is, in bounded portions of whole lines."""

import os
from dataclasses import dataclass
from typing import Annotated, BinaryIO

from pydantic import Field

from cody.agents.model.tools.arguments import Arguments
from cody.agents.model.tools.files import MAX_TEXT_BYTES, Done, FileTool
from cody.agents.model.tools.folder import Folder
from cody.agents.model.tools.tool import Refusal
from cody.agents.output import Decoder
from cody.agents.reports import Report
from cody.agents.scan import shown
from cody.contract.payloads import FileRead

DEFAULT_LINES = 2000
SNIFFED_BYTES = 8 * 1024
"""A file with a NUL in its beginning is taken for binary, as git does."""
NEWLINE = "\n"
SKIPPED_BYTES = 1024 * 1024
"""Of what is passed over, at once."""


class ReadFile(Arguments):
    """What `read_file` takes."""

    path: Annotated[str, Field(description="The file, relative to the working directory.")]
    offset: Annotated[int | None, Field(ge=0, description="The first line to read, counted from 1 (the default).")] = (
        None
    )
    limit: Annotated[int | None, Field(ge=1, description=f"How many lines to read, {DEFAULT_LINES} unless told.")] = (
        None
    )


@dataclass(frozen=True)
class Portion:
    """Lines of a file: how many, whether there are more, and whether the last was too long to be given whole."""

    data: bytes
    lines: int
    more: bool
    cut: bool


def portion(file: BinaryIO, first: int, limit: int, max_bytes: int) -> Portion:
    """At most `limit` lines and `max_bytes` from line `first` on. Raises Refusal if there are not so many lines."""
    _skip(file, first)
    taken: list[bytes] = []
    room, cut = max_bytes, False
    while len(taken) < limit and room > 0:
        line = file.readline(room + 1)
        if len(line) > room:
            if taken:
                return Portion(b"".join(taken), len(taken), more=True, cut=False)
            if not line.endswith(b"\n"):
                _rest_of_line(file)
            line, cut = line[:room], True
        if not line:
            break
        taken.append(line)
        room -= len(line)
        if cut:
            break
    return Portion(b"".join(taken), len(taken), more=bool(file.read(1)), cut=cut)


def _skip(file: BinaryIO, first: int) -> None:
    """Go to the beginning of a line. Raises Refusal if there is none, but an empty file has a first line."""
    if first == 1:
        return
    passed, last = 0, b"\n"
    while block := file.read(SKIPPED_BYTES):
        ends, last = block.count(b"\n"), block[-1:]
        if passed + ends < first - 1:
            passed += ends
            continue
        at = 0
        while passed < first - 1:
            at = block.index(b"\n", at) + 1
            passed += 1
        file.seek(at - len(block), os.SEEK_CUR)
        if file.read(1):
            file.seek(-1, os.SEEK_CUR)
            return
        break
    raise Refusal(f"offset {first} is beyond the end: the file has {passed + (last != NEWLINE.encode())} lines")


def _rest_of_line(file: BinaryIO) -> None:
    while (piece := file.readline(SKIPPED_BYTES)) and not piece.endswith(b"\n"):
        pass


def _read(folder: Folder, asked: ReadFile) -> Done:
    place = folder.place(asked.path)
    first, limit = asked.offset or 1, asked.limit or DEFAULT_LINES
    with folder.reading(place) as file:
        head = file.read(SNIFFED_BYTES)
        if b"\0" in head:
            size = file.seek(0, os.SEEK_END)
            raise Refusal(f"{asked.path} is a binary file of {size} bytes, which cannot be read as text")
        file.seek(0)
        found = portion(file, first, limit, MAX_TEXT_BYTES)
    payload = FileRead(path=shown(place.path), bytes=len(found.data))
    return Done(_text(found, first), (Report("file_read", payload),))


def _text(found: Portion, first: int) -> str:
    if not found.lines:
        return "[the file is empty]"
    # Where the last line was cut, that was perhaps within a character: it is left out.
    text = Decoder().feed(found.data) if found.cut else found.data.decode(errors="replace")
    text = text.replace("\0", "\ufffd")
    notes: list[str] = []
    last = first + found.lines - 1
    if found.cut:
        notes.append(f"line {last} is longer than {MAX_TEXT_BYTES} bytes and is cut here")
    if found.more:
        notes.append(f"these are lines {first} to {last}; the file goes on, read it with offset {last + 1}")
    if not notes:
        return text
    return f"{text if text.endswith(NEWLINE) else text + NEWLINE}[{'; '.join(notes)}]"


READ_FILE = FileTool(
    "read_file",
    "Read a text file. Gives its text as it is. What does not fit into one answer is announced at the end, in square"
    " brackets, with the offset to go on from.",
    ReadFile,
    _read,
)

"""A watched log: what was added to it since the last look, without ever reading again what was read."""

import os
from pathlib import Path
from typing import BinaryIO

from cody.agents.confined import mark_of, open_inside, tail_of
from cody.contract.payloads import LogDelta

TAIL_LINES = 20
TAIL_BYTES = 64 * 1024
CHUNK = 1024 * 1024


class WatchedLog:
    """One log below `root`. A log that was truncated or replaced is new as a whole."""

    def __init__(self, root: Path, path: str) -> None:
        self.path = path
        self._root = root
        self._size = 0
        self._mark = ""
        self._in_line = False  # what was read ended inside of a line, which is counted already
        self._seen: tuple[int, int, int] | None = None
        self.exists = False

    def begin(self) -> None:
        """Take the log as it is for known. Blocking; raises OSError if it is there and must not or cannot be read."""
        self._seen = self._identity()
        try:
            with open_inside(self._root, self.path) as file:
                self._remember(file, os.fstat(file.fileno()).st_size)
        except FileNotFoundError:
            self.exists = False

    def changed(self) -> bool:
        """Whether there may be something new. Blocking, but cheap."""
        seen, self._seen = self._seen, self._identity()
        return seen != self._seen

    def take(self) -> LogDelta | None:
        """What is new, None if nothing is; `exists` tells whether the log is there. Blocking; OSError as in `begin`."""
        try:
            with open_inside(self._root, self.path) as file:
                return self._delta(file)
        except FileNotFoundError:
            self._size, self._mark, self._in_line, self.exists = 0, "", False, False
            return None

    def _delta(self, file: BinaryIO) -> LogDelta | None:
        size = os.fstat(file.fileno()).st_size
        grown = self.exists and size >= self._size and mark_of(file, self._size) == self._mark
        if grown and size == self._size:
            return None
        start = self._size if grown else 0
        lines = _lines(file, start, size)
        if start and self._in_line:
            lines -= 1
        self._remember(file, size)
        tail = tail_of(file, 0, size, TAIL_LINES, TAIL_BYTES)
        return LogDelta(added_bytes=size - start, added_lines=max(0, lines), tail=tuple(tail))

    def _remember(self, file: BinaryIO, size: int) -> None:
        self._size, self._mark, self.exists = size, mark_of(file, size), True
        file.seek(max(0, size - 1))
        self._in_line = size > 0 and file.read(1) != b"\n"

    def _identity(self) -> tuple[int, int, int] | None:
        try:
            status = (self._root / self.path).stat()
        except (OSError, RuntimeError):  # RuntimeError: a loop of symlinks, until Python 3.13
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def _lines(file: BinaryIO, start: int, end: int) -> int:
    """Lines that the bytes from `start` to `end` are or begin."""
    file.seek(start)
    left, lines, last = end - start, 0, b"\n"
    while left > 0 and (chunk := file.read(min(CHUNK, left))):
        lines += chunk.count(b"\n")
        left -= len(chunk)
        last = chunk[-1:]
    return lines + (last != b"\n")

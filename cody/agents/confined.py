"""Opens files of a working directory, and only those: a symlink that leaves it is as good as not there."""

import hashlib
import os
import stat
from pathlib import Path
from typing import BinaryIO

EDGE = 4096
"""Bytes at the beginning, and before a place, by which a file is known again."""


class OutsideError(OSError):
    """The path leads out of the working directory."""


def open_inside(root: Path, path: str) -> BinaryIO:
    """Open a regular file below `root` for reading; `path` is relative to it.

    Raises OutsideError where a symlink or `..` leads out, IsADirectoryError for a directory, OSError for what is not a
    regular file (a pipe would block) or cannot be read, FileNotFoundError where there is nothing.
    """
    real = (root / path).resolve()
    if not real.is_relative_to(root.resolve()):
        raise OutsideError(f"{path} leads out of the working directory")
    # It was resolved: a symlink in its place now is somebody's trick.
    fd = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(fd, "rb")
    os.close(fd)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{path} is a directory")
    raise OSError(f"{path} is not a regular file")


def tail_of(file: BinaryIO, start: int, end: int, lines: int, limit: int) -> list[str]:
    """The last `lines` lines of the bytes from `start` to `end`, reading at most `limit` bytes from the end.

    A line that the limit cuts is left out unless it is the only one; what is not UTF-8 becomes U+FFFD.
    """
    begin = max(start, end - limit)
    position, data, newlines = end, b"", 0
    blocks: list[bytes] = []
    while position > begin and newlines <= lines:
        size = min(64 * 1024, position - begin)
        position -= size
        file.seek(position)
        block = file.read(size)
        newlines += block.count(b"\n")
        blocks.insert(0, block)
    data = b"".join(blocks)
    found = data.removesuffix(b"\n").split(b"\n") if data else []
    if position > start and len(found) > 1:
        found = found[1:]  # begins somewhere in its middle, or is one too many
    return [line.removesuffix(b"\r").decode(errors="replace") for line in found[-lines:]]


def mark_of(file: BinaryIO, size: int) -> str:
    """A hash of the edges of the first `size` bytes: while it stays the same the file has only grown."""
    file.seek(0)
    edges = file.read(min(EDGE, size))
    file.seek(max(0, size - EDGE))
    edges += file.read(min(EDGE, size))
    return hashlib.sha256(edges).hexdigest()[:32]

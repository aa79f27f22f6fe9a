"""The working directory as the file tools see it: nothing outside of it can be named, read or written.

A path is resolved first, so that symlinks that stay inside work as anywhere else. Then it is walked from the working
directory's own descriptor without following any link: what was a directory when it was resolved and is a symlink now is
refused, so there is no moment at which somebody could lead a tool out.
"""

import contextlib
import os
import stat
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import BinaryIO, Self

from cody.agents.model.tools.tool import Refusal

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Not blocking: opening a pipe would wait for its writer."""
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Place:
    """Where something is, or could be: its path below the working directory, without symlinks."""

    parts: tuple[str, ...]

    @property
    def path(self) -> str:
        """As text; `.` for the working directory itself. May hold surrogates for what is not UTF-8 (PEP 383)."""
        return "/".join(self.parts) or "."


@dataclass(frozen=True)
class Staged:
    """A file's new content, complete on the disk beside its place under another name; and the folders made for it."""

    place: Place
    name: str
    made: tuple[tuple[str, ...], ...]


class Folder:
    """The working directory `root`, open. For one thread; blocking. An OSError is the system's own word."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        try:
            self._fd = os.open(self._root, DIRECTORY)
        except OSError as error:
            raise Refusal(f"the working directory cannot be opened: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def place(self, path: str) -> Place:
        """Where a path leads, relative to the working directory or absolute. Raises Refusal if that is outside."""
        if "\0" in path:
            raise Refusal("a path cannot hold a NUL")
        real = os.path.realpath(Path(self._root, path))
        return Place(self._below(real, path))

    def is_link(self, path: str) -> bool:
        """Whether the path's last name is that of a symlink, wherever that leads to."""
        head, name = os.path.split(path.rstrip("/"))
        if name in ("", ".", ".."):
            return False
        status = self.status(Place((*self.place(head).parts, name)))
        return status is not None and stat.S_ISLNK(status.st_mode)

    @contextmanager
    def directory(self, parts: Sequence[str]) -> Generator[int]:
        """A descriptor of a directory."""
        fd = os.dup(self._fd)
        try:
            for part in parts:
                below = os.open(part, DIRECTORY, dir_fd=fd)
                os.close(fd)
                fd = below
            yield fd
        finally:
            os.close(fd)

    def status(self, place: Place) -> os.stat_result | None:
        """What is there (a symlink is a symlink); None if nothing is."""
        if not place.parts:
            return os.fstat(self._fd)
        try:
            with self.directory(place.parts[:-1]) as fd:
                return os.stat(place.parts[-1], dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    @contextmanager
    def reading(self, place: Place) -> Generator[BinaryIO]:
        """A regular file, open for reading. Raises Refusal for anything else that is there."""
        if not place.parts:
            raise Refusal(". is a directory")
        with self.directory(place.parts[:-1]) as fd:
            opened = os.open(place.parts[-1], READ, dir_fd=fd)
        try:
            _check_regular(place, os.fstat(opened))
            file = os.fdopen(opened, "rb")
        except BaseException:
            os.close(opened)
            raise
        with file:
            yield file

    def stage(self, place: Place, data: bytes, like: Place | None = None) -> Staged:
        """Write a file's new content beside its place, to be `commit`ted or `discard`ed; makes the folders above it.

        The file keeps its mode and owner, or gets those of `like`.
        """
        if not place.parts:
            raise Refusal(". is a directory")
        before = self._before(like or place)
        made = self._make(place.parts[:-1])
        staged = Staged(place, _spare_name(), made)
        try:
            with self.directory(place.parts[:-1]) as fd:
                _write(fd, staged.name, data, before)
        except BaseException:
            self.discard(staged)
            raise
        return staged

    def commit(self, staged: Staged) -> None:
        """Put the new content in its place, at once for whoever looks."""
        with self.directory(staged.place.parts[:-1]) as fd:
            os.replace(staged.name, staged.place.parts[-1], src_dir_fd=fd, dst_dir_fd=fd)

    def discard(self, staged: Staged) -> None:
        """Leave no trace of what was staged; folders stay where somebody else uses them by now."""
        with contextlib.suppress(FileNotFoundError), self.directory(staged.place.parts[:-1]) as fd:
            os.unlink(staged.name, dir_fd=fd)
        for parts in reversed(staged.made):
            with contextlib.suppress(OSError), self.directory(parts[:-1]) as fd:
                os.rmdir(parts[-1], dir_fd=fd)

    def write(self, place: Place, data: bytes) -> None:
        """Replace, or make, a file in one step."""
        staged = self.stage(place, data)
        try:
            self.commit(staged)
        except BaseException:
            self.discard(staged)
            raise

    def set_aside(self, place: Place) -> Staged:
        """Take a file away, so that it can be put back (`commit`) or be gone (`discard`)."""
        name = _spare_name()
        with self.directory(place.parts[:-1]) as fd:
            os.rename(place.parts[-1], name, src_dir_fd=fd, dst_dir_fd=fd)
        return Staged(place, name, ())

    def remove(self, place: Place) -> None:
        """Remove a file or a symlink."""
        with self.directory(place.parts[:-1]) as fd:
            os.unlink(place.parts[-1], dir_fd=fd)

    def _below(self, real: str, path: str) -> tuple[str, ...]:
        if not Path(real).is_relative_to(self._root):
            raise Refusal(f"{path} leads out of the working directory; only paths inside of it can be used")
        return Path(real).relative_to(self._root).parts

    def _before(self, place: Place) -> os.stat_result | None:
        """The file that is to be replaced, if there is one. Raises Refusal for what must not be."""
        status = self.status(place)
        if status is None:
            return None
        _check_regular(place, status)
        with self.directory(place.parts[:-1]) as fd:
            # Replacing asks the directory's permission only; who protected the file meant it.
            if not os.access(place.parts[-1], os.W_OK, dir_fd=fd):
                raise Refusal(f"{place.path} is write-protected")
        return status

    def _make(self, parts: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        """Make the folders on the way that are missing; those that were made, outer ones first."""
        made: list[tuple[str, ...]] = []
        for depth in range(1, len(parts) + 1):
            with self.directory(parts[: depth - 1]) as fd, contextlib.suppress(FileExistsError):
                os.mkdir(parts[depth - 1], dir_fd=fd)
                made.append(parts[:depth])
        return tuple(made)


def _spare_name() -> str:
    return f".cody-{token_hex(8)}.tmp"


def _write(fd: int, name: str, data: bytes, before: os.stat_result | None) -> None:
    opened = os.open(name, CREATE, 0o666, dir_fd=fd)
    with os.fdopen(opened, "wb") as file:
        file.write(data)
        if before is not None:
            now = os.fstat(opened)
            if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
                with contextlib.suppress(PermissionError):  # only root may give files away
                    os.fchown(opened, before.st_uid, before.st_gid)
            os.fchmod(opened, stat.S_IMODE(before.st_mode))


def _check_regular(place: Place, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise Refusal(f"{place.path} is a directory")
    if not stat.S_ISREG(status.st_mode):
        raise Refusal(f"{place.path} is not a regular file")

"""One look at a working directory: which files there are, and in what state."""

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cody.agents.patterns import Globs

MAX_FILES = 250_000
"""A directory with more is not watched file by file: it would cost more than it tells."""


class State(NamedTuple):
    """By what a change of a file is known."""

    mtime_ns: int
    size: int
    inode: int


@dataclass
class Scan:
    """What a look has found, by path relative to the root; `faults` are the places it could not look into."""

    files: dict[str, State] = field(default_factory=dict[str, State])
    faults: list[str] = field(default_factory=list[str])


class Scanner:
    """Looks at `root`: files that `include` and not `exclude` mean, without `but`. Symlinks are not followed."""

    def __init__(self, root: Path, include: Globs, exclude: Globs, but: Iterable[str] = ()) -> None:
        self._root = str(root)
        self._include = include
        self._exclude = exclude
        self._but = frozenset(but)
        self._unwanted: set[str] = set()  # so that globs are asked about a file only once

    def scan(self, known: Mapping[str, State]) -> Scan:
        """Look now. Blocking. What lies where one may not look counts as it was `known`."""
        result = Scan()
        unwanted, self._unwanted = self._unwanted, set()
        directories = [""]
        while directories:
            directory = directories.pop()
            try:
                self._directory(directory, directories, result, known, unwanted)
            except (FileNotFoundError, NotADirectoryError) as error:
                if not directory:  # any other is just gone, which shows
                    self._fault(directory, error, result, known)
            except OSError as error:
                self._fault(directory, error, result, known)
            if len(result.files) > MAX_FILES:
                return Scan(dict(known), [f"the working directory has more than {MAX_FILES} files"])
        return result

    def states(self, paths: Iterable[str]) -> dict[str, State | None]:
        """The state of these files now; None for what is gone or no file any more. Blocking."""
        return {path: self._state(path) for path in paths}

    def _directory(
        self, directory: str, directories: list[str], result: Scan, known: Mapping[str, State], unwanted: set[str]
    ) -> None:
        files = result.files
        with os.scandir(f"{self._root}/{directory}") as entries:
            for entry in entries:
                path = directory + entry.name
                if entry.is_dir(follow_symlinks=False):
                    if not self._exclude.match_all_below(shown(path)):
                        directories.append(path + "/")
                elif path in known or (path not in unwanted and self._wanted(path)):
                    if state := _state_of(entry):
                        files[path] = state
                else:
                    self._unwanted.add(path)

    def _wanted(self, path: str) -> bool:
        name = shown(path)
        return path not in self._but and self._include.match(name) and not self._exclude.match(name)

    def _fault(self, directory: str, error: OSError, result: Scan, known: Mapping[str, State]) -> None:
        result.faults.append(f"{shown(directory) or '.'}: {error.strerror}")
        result.files.update({path: state for path, state in known.items() if path.startswith(directory)})

    def _state(self, path: str) -> State | None:
        try:
            return _of(os.lstat(f"{self._root}/{path}"))
        except OSError:
            return None


def shown(path: str) -> str:
    """A path as text: a name that is not UTF-8 cannot be said in JSON as it is."""
    return path if path.isascii() else os.fsencode(path).decode(errors="replace")


def _state_of(entry: "os.DirEntry[str]") -> State | None:
    try:
        return _of(entry.stat(follow_symlinks=False))
    except FileNotFoundError:
        return None


def _of(status: os.stat_result) -> State | None:
    """Sockets, pipes and devices are no files that somebody writes a project with."""
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
        return None
    return State(status.st_mtime_ns, status.st_size, status.st_ino)

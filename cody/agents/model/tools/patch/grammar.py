"""Takes a patch apart.

    *** Begin Patch
    *** Add File: PATH            every following line begins with `+`
    *** Delete File: PATH
    *** Update File: PATH
    *** Move to: PATH             optional
    @@ LINE                       optional: the hunk is somewhere after this line; may be repeated to go in deeper
     kept
    -removed
    +added
    *** End of File               optional: the hunk is at the end of the file
    *** End Patch

As models do not always keep to the letter, blanks around markers, a here-document around the whole, an empty line for a
kept empty line, and the line numbers of a unified diff in `@@ -1,2 +1,3 @@` are accepted.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from cody.agents.model.tools.tool import Refusal

BEGIN: Final = "*** Begin Patch"
END: Final = "*** End Patch"
ADD: Final = "*** Add File:"
DELETE: Final = "*** Delete File:"
UPDATE: Final = "*** Update File:"
MOVE: Final = "*** Move to:"
END_OF_FILE: Final = "*** End of File"

Sign = Literal[" ", "-", "+"]

_HERE_DOCUMENT = re.compile(r"(?:apply_patch\s+)?<<-?\s*(['\"]?)(\w+)\1")
_NUMBERS = re.compile(r"-\d+(?:,\d+)? \+\d+(?:,\d+)? @@.*")


@dataclass(frozen=True)
class Hunk:
    """One place of a file that changes. `at` is its line in the patch, counted from 1."""

    at: int
    contexts: tuple[str, ...]
    lines: tuple[tuple[Sign, str], ...]
    at_end: bool
    loose: int = 0
    """How many of the last lines are empty ones without a sign: perhaps kept lines, perhaps only air in the patch."""


@dataclass(frozen=True)
class Add:
    """A new file."""

    path: str
    text: str


@dataclass(frozen=True)
class Delete:
    """A file that goes."""

    path: str


@dataclass(frozen=True)
class Update:
    """A file that changes, or moves, or both."""

    path: str
    move_to: str | None
    hunks: tuple[Hunk, ...]


Change = Add | Delete | Update


def parse(patch: str) -> list[Change]:
    """The changes in a patch, at least one. Raises Refusal, which says in which line what is wrong."""
    return _Parser(_unwrapped(patch.strip().split("\n"))).changes()


def _unwrapped(lines: list[str]) -> list[str]:
    wrapper = _HERE_DOCUMENT.fullmatch(lines[0].strip())
    if wrapper and lines[-1].strip() == wrapper[2]:
        return lines[1:-1]
    return lines


class _Parser:
    """Goes through the lines once; `_at` is the index of the next one."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = [*lines[:-1], lines[-1].strip()]
        self._at = 0

    def changes(self) -> list[Change]:
        if self._marker() != BEGIN:
            raise Refusal(f"a patch begins with the line `{BEGIN}`")
        if len(self._lines) < 2 or self._lines[-1] != END:
            raise Refusal(f"a patch ends with the line `{END}`")
        self._at += 1
        changes: list[Change] = []
        while (marker := self._marker()) != END:
            if marker:
                changes.append(self._change(marker))
            else:
                self._at += 1
        if self._at + 1 < len(self._lines):
            raise self._fault(f"`{END}` must be the last line")
        if not changes:
            raise Refusal("the patch changes no file")
        return changes

    def _change(self, marker: str) -> Change:
        if path := self._after(marker, ADD):
            return self._add(path)
        if path := self._after(marker, DELETE):
            return Delete(path)
        if path := self._after(marker, UPDATE):
            return self._update(path)
        raise self._fault(f"expected `{ADD} PATH`, `{DELETE} PATH`, `{UPDATE} PATH` or `{END}`")

    def _after(self, marker: str, word: str) -> str | None:
        """The path behind a word, if this is that word's line; the line is then used up."""
        if not marker.startswith(word):
            return None
        path = marker.removeprefix(word).strip()
        if not path:
            raise self._fault(f"`{word}` needs a path")
        self._at += 1
        return path

    def _add(self, path: str) -> Add:
        lines: list[str] = []
        while self._line().startswith("+"):
            lines.append(self._line()[1:] + "\n")
            self._at += 1
        if self._line().strip() and not self._line().startswith("*** "):
            raise self._fault("every line of an added file begins with `+`")
        return Add(path, "".join(lines))

    def _update(self, path: str) -> Update:
        move_to = self._after(self._marker(), MOVE)
        hunks: list[Hunk] = []
        self._at = ahead if self._lines[ahead := self._next_said()].startswith("@@") else self._at
        while not self._ends_update():
            hunks.append(self._hunk())
        if not hunks and move_to is None:
            raise self._fault(f"the update of {path} has no hunk")
        return Update(path, move_to, tuple(hunks))

    def _ends_update(self) -> bool:
        """Whether what follows belongs to another file; empty lines before that are only air."""
        ahead = self._next_said()
        if self._lines[ahead].startswith("*** ") and self._lines[ahead].strip() != END_OF_FILE:
            self._at = ahead
            return True
        return False

    def _next_said(self) -> int:
        """The index of the next line that is not empty."""
        return next(at for at in range(self._at, len(self._lines)) if self._lines[at].strip())

    def _hunk(self) -> Hunk:
        at = self._at + 1
        contexts: list[str] = []
        while self._line().startswith("@@"):
            context = self._line()[2:].removeprefix(" ").rstrip("\r")
            if context.strip() and not _NUMBERS.fullmatch(context.strip()):
                contexts.append(context)
            self._at += 1
        lines: list[tuple[Sign, str]] = []
        loose = 0
        while (line := self._line().removesuffix("\r"))[:1] in ("", " ", "-", "+"):
            loose = 0 if line else loose + 1
            lines.append((_sign(line), line[1:]))
            self._at += 1
        at_end = self._marker() == END_OF_FILE
        self._at += at_end
        if len(lines) == loose:
            raise self._fault("expected lines that begin with a blank (kept), `-` (removed) or `+` (added)")
        return Hunk(at, tuple(contexts), tuple(lines), at_end, 0 if at_end else loose)

    def _line(self) -> str:
        """The next line; the last one, which ends the patch, is never used up before the end."""
        return self._lines[self._at]

    def _marker(self) -> str:
        return self._line().strip()

    def _fault(self, message: str) -> Refusal:
        return Refusal(f"line {self._at + 1} of the patch, {self._line()[:200]!r}: {message}")


def _sign(line: str) -> Sign:
    match line[:1]:
        case "-":
            return "-"
        case "+":
            return "+"
        case _:
            return " "

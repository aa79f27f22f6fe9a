"""Finds lines in a file: as they are, else but for blanks at their ends, around them, or for typographic characters."""

from collections.abc import Callable, Sequence
from typing import Final

_PLAIN: Final = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u2018\u2019\u201a\u201b", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f", '"'),
        **dict.fromkeys("\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "),
        "\ufeff": None,
    }
)
"""Models write plain dashes, quotes and blanks where a file has others."""


def _as_is(line: str) -> str:
    return line


def _plain(line: str) -> str:
    return line.translate(_PLAIN).strip()


READINGS: Final[tuple[Callable[[str], str], ...]] = (_as_is, str.rstrip, str.strip, _plain)
"""What counts as the same line, from strict to lenient; a stricter match anywhere beats a more lenient one."""


class Lines:
    """A file's lines, to be looked through."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._read: dict[int, list[str]] = {}

    def find(self, wanted: Sequence[str], start: int = 0, *, at_end: bool = False) -> int | None:
        """Where the lines (one at least) stand first at or after `start`, or at the very end; None if they do not."""
        last = len(self._lines) - len(wanted)
        first = max(start, last) if at_end else start
        for level, reading in enumerate(READINGS):
            lines = self._reading(level)
            sought = [reading(line) for line in wanted]
            for at in range(first, last + 1):
                if lines[at] == sought[0] and lines[at : at + len(sought)] == sought:
                    return at
        return None

    def closest(self, wanted: Sequence[str]) -> tuple[int, int]:
        """Where most of the first of the wanted lines stand, by the most lenient reading: the place, and how many."""
        lines = self._reading(len(READINGS) - 1)
        sought = [_plain(line) for line in wanted]
        best = (0, 0)
        for at, line in enumerate(lines):
            if line != sought[0]:
                continue
            same = 1
            while same < len(sought) and at + same < len(lines) and lines[at + same] == sought[same]:
                same += 1
            if same > best[1]:
                best = (at, same)
        return best

    def _reading(self, level: int) -> list[str]:
        if level not in self._read:
            self._read[level] = [READINGS[level](line) for line in self._lines]
        return self._read[level]

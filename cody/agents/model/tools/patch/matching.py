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
            place, same = _longest(self._reading(level), [reading(line) for line in wanted], first)
            if same == len(wanted):
                return place
        return None

    def closest(self, wanted: Sequence[str]) -> tuple[int, int]:
        """Where most of the first of the wanted lines stand, by the most lenient reading: the place, and how many."""
        return _longest(self._reading(len(READINGS) - 1), [_plain(line) for line in wanted])

    def _reading(self, level: int) -> list[str]:
        if level not in self._read:
            self._read[level] = [READINGS[level](line) for line in self._lines]
        return self._read[level]


def _longest(lines: Sequence[str], sought: Sequence[str], first: int = 0) -> tuple[int, int]:
    """The first place at or after `first` where most of the first sought lines stand, and how many those are.

    Knuth, Morris and Pratt: linear also where both are the same line over and over, as nobody can stop a search.
    """
    back = _back(sought)
    best, same = (0, 0), 0
    for at in range(first, len(lines)):
        line = lines[at]
        while same and line != sought[same]:
            same = back[same - 1]
        if line != sought[same]:
            continue
        same += 1
        if same > best[1]:
            best = (at - same + 1, same)
        if same == len(sought):
            break
    return best


def _back(sought: Sequence[str]) -> list[int]:
    """For each beginning of the sought lines: how long the longest other beginning is that it ends with."""
    back, same = [0], 0
    for line in sought[1:]:
        while same and line != sought[same]:
            same = back[same - 1]
        same += line == sought[same]
        back.append(same)
    return back

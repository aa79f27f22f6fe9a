"""Makes a file's new text: its old text, and the hunks in the order of the file.

What a hunk keeps stays as it is in the file, to the byte, also where it was only matched leniently. Added lines get the
file's own line ends.
"""

from collections.abc import Sequence
from dataclasses import replace

from cody.agents.model.tools.patch.grammar import Hunk
from cody.agents.model.tools.patch.matching import Lines
from cody.agents.model.tools.tool import Refusal

SHOWN_LINES = 12
SHOWN_CHARACTERS = 200

Edit = tuple[int, int, list[str]]
"""From which line on how many lines become these."""


def edited(text: str, hunks: Sequence[Hunk], path: str) -> str:
    """The text after the hunks. Raises Refusal if one does not match."""
    whole = text.split("\n")
    lines = [line + "\n" for line in whole[:-1]] + ([whole[-1]] if whole[-1] else [])
    end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    edits = _Search(lines, end, path).edits(hunks)
    made: list[str] = []
    at = 0
    for start, count, replacement in sorted(edits, key=lambda edit: edit[0]):
        made += [*lines[at:start], *replacement]
        at = start + count
    made += lines[at:]
    # Only a last line may lack its end, and the file's last line need not be the last one any more.
    return "".join(line if line.endswith("\n") else line + end for line in made[:-1]) + "".join(made[-1:])


class _Search:
    """Goes down the file hunk by hunk."""

    def __init__(self, lines: Sequence[str], end: str, path: str) -> None:
        self._lines = lines
        self._bare = Lines([line.removesuffix("\n").removesuffix("\r") for line in lines])
        self._end = end
        self._path = path
        self._from = 0

    def edits(self, hunks: Sequence[Hunk]) -> list[Edit]:
        return [self._edit(hunk) for hunk in hunks]

    def _edit(self, hunk: Hunk) -> Edit:
        start = self._from
        for context in hunk.contexts:
            found = self._bare.find([context], start)
            if found is None:
                raise self._fault(hunk, "the line of its `@@` is not there", [context])
            start = found + 1
        forms = [_without(hunk, count) for count in range(hunk.loose + 1)]
        if not _old(forms[-1]):
            # Nothing to look for: after the line that was named, or at the end of the file.
            at = start if hunk.contexts and not hunk.at_end else len(self._lines)
            self._from = start
            return at, 0, self._replacement(forms[-1], at)
        hunk, at = self._match(forms, start)
        count = len(_old(hunk))
        self._from = at + count
        return at, count, self._replacement(hunk, at)

    def _match(self, forms: Sequence[Hunk], start: int) -> tuple[Hunk, int]:
        """Where the hunk's old lines are, and in which of its forms."""
        # The line that `@@` names may be repeated as the first one of the hunk.
        for first in (start, start - 1) if forms[0].contexts else (start,):
            for form in forms:
                found = self._bare.find(_old(form), first, at_end=form.at_end)
                if found is not None:
                    return form, found
        raise self._mismatch(forms[-1], start)

    def _replacement(self, hunk: Hunk, at: int) -> list[str]:
        made: list[str] = []
        for sign, text in hunk.lines:
            if sign == "+":
                made.append(text + self._end)
                continue
            if sign == " ":
                made.append(self._lines[at])
            at += 1
        return made

    def _mismatch(self, hunk: Hunk, start: int) -> Refusal:
        """Why: the lines are elsewhere, or nowhere; then how far the best place goes along."""
        old = _old(hunk)
        elsewhere = self._bare.find(old)
        if elsewhere is not None and hunk.at_end:
            return self._fault(hunk, f"its lines are not at the end of the file but at line {elsewhere + 1}", [])
        if elsewhere is not None:
            why = f"its lines are at line {elsewhere + 1}, before line {start + 1} where the search began"
            return self._fault(hunk, f"{why}; hunks must be in the order of the file", [])
        at, same = self._bare.closest(old)
        if not same:
            return self._fault(hunk, "these lines are not there", old)
        if at + same >= len(self._lines):
            differs = f"the file ends after line {len(self._lines)}"
        else:
            differs = f"line {at + same + 1} of the file is {_brief(self._lines[at + same])}"
        wanted = _brief(old[same])
        return self._fault(hunk, f"it is like line {at + 1} and on, but {differs} where the patch has {wanted}", old)

    def _fault(self, hunk: Hunk, why: str, wanted: Sequence[str]) -> Refusal:
        message = f"the hunk at line {hunk.at} of the patch does not fit {self._path}: {why}"
        shown = [line[:SHOWN_CHARACTERS] for line in wanted[:SHOWN_LINES]]
        if len(wanted) > SHOWN_LINES:
            shown.append("[…]")
        return Refusal("\n".join([f"{message}; it looked for:" if shown else message, *shown]))


def _without(hunk: Hunk, count: int) -> Hunk:
    """The hunk without that many of its last lines, which may be only air in the patch."""
    return replace(hunk, lines=hunk.lines[: len(hunk.lines) - count])


def _old(hunk: Hunk) -> list[str]:
    return [text for sign, text in hunk.lines if sign != "+"]


def _brief(line: str) -> str:
    return repr(line.removesuffix("\n")[:SHOWN_CHARACTERS])

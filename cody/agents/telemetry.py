"""Takes `{"__cody_event__": …}` lines out of a byte stream; all else stays as it was, and leaves as early as it came.

A line is telemetry if it starts with `{` and its first key is `__cody_event__`. That is known from its first few bytes,
so an ordinary line never waits for its end: only a line that is, or may still become, telemetry is held.
"""

from pathlib import Path

from cody.agents.reports import Report, too_long, understand

MAX_LINE = 1024 * 1024
"""Bytes of a telemetry line (without its end) that are held; a longer one is text, with a warning."""
KEY = b'"__cody_event__"'
_USUAL = b"{" + KEY
"""How most of them begin: without blanks."""
MAX_BLANKS = 32
"""Blanks between the bracket and the key: a bound, so that a line of blanks is not held for ever."""

Piece = bytes | Report


class Splitter:
    """One stream. Any way of cutting the stream into chunks gives the same reports and, joined, the same text."""

    def __init__(self, root: Path | None) -> None:
        self._roots = (root, root.resolve()) if root else ()
        self._held = bytearray()  # a line that starts with `{`, from its start
        self._sure = False  # the held line is telemetry; else it may still be
        self._at_line_start = True

    def feed(self, chunk: bytes) -> list[Piece]:
        """What is known now, in order: pieces of text, and reports between them."""
        pieces: list[Piece] = []
        at = 0
        while at < len(chunk):
            if self._held:
                at = self._line(chunk, at, pieces)
            elif (end := self._whole_line(chunk, at)) >= 0:
                pieces.append(understand(chunk[at:end], self._roots))
                at = end + 1
            else:
                at = self._text(chunk, at, pieces)
        return pieces

    def finish(self) -> list[Piece]:
        """The stream has ended: its last line needs no line end."""
        held, self._held = bytes(self._held), bytearray()
        if not held:
            return []
        return [understand(held, self._roots)] if self._sure else [held]

    def _whole_line(self, chunk: bytes, at: int) -> int:
        """The end of a telemetry line that is whole in the chunk, as almost all of a flood are; -1 if there is none."""
        if self._at_line_start and chunk.startswith(_USUAL, at):
            return chunk.find(b"\n", at, at + MAX_LINE + 1)
        return -1

    def _text(self, chunk: bytes, at: int, pieces: list[Piece]) -> int:
        """Pass on text up to the next line that starts with `{`; where that is."""
        if self._at_line_start and chunk.startswith(b"{", at):
            end = at
        else:
            found = chunk.find(b"\n{", at)
            end = found + 1 if found >= 0 else len(chunk)
        if end > at:
            pieces.append(chunk[at:end])
            self._at_line_start = chunk.endswith(b"\n", at, end)
        if end < len(chunk):
            self._held += b"{"
            self._sure = False
            end += 1
        return end

    def _line(self, chunk: bytes, at: int, pieces: list[Piece]) -> int:
        """Go on with the held line; where to go on from."""
        newline = chunk.find(b"\n", at)
        end = newline if newline >= 0 else len(chunk)
        self._held += chunk[at:end]
        if not self._sure:
            verdict = _is_telemetry(self._held) if newline < 0 else _is_telemetry(self._held) or False
            if verdict is None:
                return end
            if not verdict:
                self._release(pieces)
                return end
            self._sure = True
        if len(self._held) > MAX_LINE:
            pieces.append(too_long(bytes(self._held[:1024]), MAX_LINE))
            self._release(pieces)
            return end
        if newline < 0:
            return end
        pieces.append(understand(bytes(self._held), self._roots))
        self._held.clear()
        self._at_line_start = True
        return end + 1

    def _release(self, pieces: list[Piece]) -> None:
        """The held line is text after all; its rest follows as text."""
        pieces.append(bytes(self._held))
        self._held.clear()
        self._at_line_start = False


def _is_telemetry(line: bytearray) -> bool | None:
    """Whether a line that starts with `{` is telemetry; None while that is open."""
    head = bytes(line[1 : 1 + MAX_BLANKS + len(KEY)])
    rest = head.lstrip(b" \t")
    if len(head) - len(rest) > MAX_BLANKS:
        return False
    return True if rest.startswith(KEY) else (None if KEY.startswith(rest) else False)

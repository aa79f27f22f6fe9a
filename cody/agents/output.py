"""The throttle of `subprocess_output`: what a stream says reaches the log soon, in bounded pieces, and never too often.

Per stream: at most `max_bytes` of UTF-8 an event, never a cut character, at most `max_events_per_second` events in any
second. What has to wait does so in a backlog of one second's worth; beyond that the oldest is withheld, so that what is
shown is never more than a second old. Nothing is lost count of: over the turn, the bytes of all texts and all
`omitted_bytes` add up to the bytes of the stream.
"""

import codecs
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from cody.agents.base import OutputLimits
from cody.contract.payloads import SubprocessOutput

Stream = Literal["stdout", "stderr"]
WINDOW_SECONDS = 1.02
"""A second, and something for the clocks of whoever counts."""


class Throttle:
    """One stream's text. `feed` it, then `take` until there is nothing; `wait` says when to come again."""

    def __init__(self, stream: Stream, limits: OutputLimits, clock: Callable[[], float] = time.monotonic) -> None:
        if limits.max_events_per_second < 2 or limits.max_bytes < 4:
            raise ValueError("a stream needs two events a second, the last being one, and room for a character")
        self._stream: Stream = stream
        self._clock = clock
        self._max_bytes = limits.max_bytes
        self._slots = limits.max_events_per_second
        # Half of the events may leave in a burst; the others are spread, so that steady output flows steadily.
        self._burst = max(1, self._slots // 2)
        self._spacing = WINDOW_SECONDS / (self._slots - 1)
        self._sent: deque[float] = deque(maxlen=self._slots)
        self._room = limits.max_bytes * self._slots
        self._backlog = bytearray()
        self._omitted = 0

    def feed(self, text: bytes) -> None:
        """Add text: whole characters of valid UTF-8."""
        self._omitted += max(0, len(text) - self._room)
        self._backlog += text[-self._room :] if len(text) > self._room else text
        self._omit(len(self._backlog) - self._room)

    def take(self) -> SubprocessOutput | None:
        """The next event, if one may leave now."""
        if not self._backlog or self._due() > self._clock():
            return None
        return self._event(_whole(self._backlog, self._max_bytes))

    def wait(self) -> float | None:
        """Seconds until `take` gives the next event; None while nothing waits."""
        return max(0.0, self._due() - self._clock()) if self._backlog else None

    def wait_for_end(self) -> float:
        """Seconds until `finish` has room for what waits: 0, but where streams that ended before took all slots."""
        if not self._backlog or len(self._sent) < self._slots:
            return 0.0
        return max(0.0, self._sent[0] + WINDOW_SECONDS - self._clock())

    def finish(self) -> list[SubprocessOutput]:
        """The stream has ended: the last events, which may leave at once. One slot was kept free for that."""
        since = self._clock() - WINDOW_SECONDS
        free = self._slots - sum(1 for sent in self._sent if sent > since)
        sizes = self._cuts()
        while len(sizes) > free:
            self._omit(sizes.pop(0))
        return [self._event(size) for size in sizes]

    def _cuts(self) -> list[int]:
        """The backlog in pieces of whole characters, the last as full as possible."""
        sizes: list[int] = []
        end = len(self._backlog)
        while end > 0:
            start = max(0, end - self._max_bytes)
            while start < end and _continues(self._backlog[start]):
                start += 1
            sizes.insert(0, end - start)
            end = start
        return sizes

    def _due(self) -> float:
        """When the next event may leave: a slot is free (one is kept for the end), and bursts are spread."""
        sent = self._sent
        due = float("-inf")
        if len(sent) >= self._slots - 1:
            due = sent[-(self._slots - 1)] + WINDOW_SECONDS
        if len(sent) >= self._burst and sent[-self._burst] > self._clock() - WINDOW_SECONDS:
            due = max(due, sent[-1] + self._spacing)
        return due

    def _event(self, size: int) -> SubprocessOutput:
        text = self._backlog[:size].decode()
        del self._backlog[:size]
        omitted, self._omitted = self._omitted, 0
        self._sent.append(self._clock())
        return SubprocessOutput(stream=self._stream, text=text, omitted_bytes=omitted)

    def _omit(self, size: int) -> None:
        """Withhold at least `size` bytes of the oldest text, and the rest of the character they end in."""
        if size < 0:
            size = 0
        while size < len(self._backlog) and _continues(self._backlog[size]):
            size += 1
        del self._backlog[:size]
        self._omitted += size


def _continues(byte: int) -> bool:
    """Whether a byte of UTF-8 is inside of a character."""
    return byte & 0xC0 == 0x80


def _whole(text: bytes | bytearray, limit: int) -> int:
    """The length of the longest beginning of whole characters within `limit` bytes."""
    if len(text) <= limit:
        return len(text)
    while limit > 0 and _continues(text[limit]):
        limit -= 1
    return limit


class Decoder:
    """Bytes as they come → valid UTF-8 of whole characters; what is not UTF-8 becomes U+FFFD."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, chunk: bytes) -> str:
        """The text that is whole by now."""
        return self._decoder.decode(chunk)

    def finish(self) -> str:
        """What was cut off by the end."""
        return self._decoder.decode(b"", final=True)


class Tail:
    """The last `size` bytes of a text, in whole characters."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._text = bytearray()

    def feed(self, text: bytes) -> None:
        """Add whole characters of valid UTF-8."""
        self._text += text[-self._size :] if len(text) > self._size else text
        if len(self._text) > 4 * self._size:
            del self._text[: -self._size]

    def text(self) -> str:
        """The text."""
        start = max(0, len(self._text) - self._size)
        while start < len(self._text) and _continues(self._text[start]):
            start += 1
        return self._text[start:].decode()

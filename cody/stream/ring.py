"""A run's newest entries in memory, and who is told when more come."""

import math
import time
from collections.abc import Callable, Sequence

from cody.contract.cursor import LAST_EPOCH, START, Cursor
from cody.stream.budget import Budget
from cody.stream.chunk import Chunk, Types, chunk_of
from cody.stream.entry import Entry

RING_BYTES = 4 << 20
"""What a run's ring keeps for followers that lag; who lags more reads from Redis for itself."""
_CHUNKS = 16
"""Chunks that are kept for those who stand where another stood: as many as a crowd is apart while it keeps up."""

HEARD_SECONDS = 0.05
"""How long a run is left unread after its writer was heard in this process: what others write is seen so late."""


class Ring:
    """A run's newest entries: `entries[i].seq == base + i`, also across a `log_gap`, at which it starts anew."""

    def __init__(self, limit_bytes: int, budget: Budget) -> None:
        self._limit = min(limit_bytes, budget.limit)
        self._budget = budget
        self.entries: list[Entry] = []
        self.base: int | None = None
        """SEQ of the first entry, or of the next one to come; None until the log's end is known."""
        self.last = START
        self.size = 0
        self.followers = 0
        self._heard_until = -math.inf
        self.listeners: set[Callable[[], None]] = set()
        """Called, at once, when entries came or there is another reason to look."""
        self._chunks: dict[tuple[int, Types], Chunk] = {}

    def expect(self, after: int, seconds: float) -> None:
        """Begin after this SEQ, without a look at the log: what follows will be heard, and is not read for so long."""
        self.last, self.base = Cursor(after, LAST_EPOCH), after + 1
        self._heard_until = time.monotonic() + seconds

    def extend(self, new: Sequence[Entry]) -> None:
        """Take the entries that follow, and tell who listens."""
        for entry in new:
            if self.base is None or entry.seq != self.base + len(self.entries):
                self.entries, self.base, self.size = [], entry.seq, 0
                self._chunks.clear()
            self.entries.append(entry)
            self.size += len(entry.event)
        self.last = new[-1].cursor
        self._shrink()
        self._budget.hold(self, self.size)
        self.wake()

    def forget(self) -> None:
        """Let go of what is here; it is in the log."""
        self.entries, self.size = [], 0
        self.base = self.last.seq + 1
        self._chunks.clear()

    def hear(self, appended: Sequence[Entry]) -> None:
        """What was appended in this process just now, in order: not to be read again, if it follows on what is here.

        Where something is missing before it, nothing is taken: that is read, and this with it.
        """
        new = [entry for entry in appended if entry.seq > self.last.seq]
        follows = not new or (new[0].seq == self.last.seq + 1 and new[-1].seq - self.last.seq == len(new))
        self._heard_until = max(self._heard_until, time.monotonic() + HEARD_SECONDS) if follows else -math.inf
        if new and follows:
            self.extend(new)

    @property
    def is_heard(self) -> bool:
        """Whether what is new is told by `hear` just now, and reading it would only give it twice."""
        return self._heard_until > time.monotonic()

    def _shrink(self) -> None:
        drop = 0
        while self.size > self._limit and drop < len(self.entries) - 1:
            self.size -= len(self.entries[drop].event)
            drop += 1
        if drop and self.base is not None:
            del self.entries[:drop]
            self.base += drop

    def wake(self) -> None:
        """Let everybody who listens look again."""
        for listener in tuple(self.listeners):
            listener()

    def reaches(self, seq: int) -> bool:
        """Whether all that follows this SEQ is here, or still to come."""
        return self.base is not None and seq + 1 >= self.base

    def after(self, seq: int) -> Sequence[Entry]:
        """All that is here after this SEQ; nothing if that is not known here."""
        base = self.base
        return () if base is None or seq + 1 < base else self.entries[seq + 1 - base :]

    def chunk(self, seq: int, types: Types) -> Chunk | None:
        """What follows this SEQ as frames, made once for all who come from there; None if nothing does."""
        base = self.base
        if base is None or not 0 <= (start := seq + 1 - base) < len(self.entries):
            return None
        chunk = self._chunks.get((seq, types))
        if chunk is None:
            chunk = chunk_of(self.entries, start, types)
            if self.followers > 1:
                self._chunks[seq, types] = chunk
                if len(self._chunks) > _CHUNKS:
                    del self._chunks[next(iter(self._chunks))]
        return chunk

"""A run's newest entries in memory, and the bell that rings when more come."""

import asyncio
import math
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from cody.contract.cursor import START
from cody.stream.entry import Entry

RING_BYTES = 4 << 20
"""What a run's ring keeps for followers that lag; who lags more reads from Redis for itself."""

HEARD_SECONDS = 0.05
"""How long a run is left unread after its writer was heard in this process: what others write is seen so late."""


class Ring:
    """A run's newest entries: `entries[i].seq == base + i`, also across a `log_gap`, at which it starts anew."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self.entries: list[Entry] = []
        self.base: int | None = None
        """SEQ of the first entry, or of the next one to come; None until the log's end is known."""
        self.last = START
        self.size = 0
        self.followers = 0
        self._heard_until = -math.inf
        self._waiting: set[asyncio.Future[None]] = set()

    def extend(self, new: Sequence[Entry]) -> None:
        """Take the entries that follow, and wake who waits for them."""
        for entry in new:
            if self.base is None or entry.seq != self.base + len(self.entries):
                self.entries, self.base, self.size = [], entry.seq, 0
            self.entries.append(entry)
            self.size += len(entry.event)
        self.last = new[-1].cursor
        self._shrink()
        self.wake()

    def hear(self, appended: Sequence[Entry]) -> None:
        """What was appended in this process just now, in order: not to be read again, if it follows on what is here.

        Where something is missing before it, nothing is taken: that is read, and this with it.
        """
        new = [entry for entry in appended if entry.seq > self.last.seq]
        follows = not new or (new[0].seq == self.last.seq + 1 and new[-1].seq - self.last.seq == len(new))
        self._heard_until = time.monotonic() + HEARD_SECONDS if follows else -math.inf
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
        """Let everybody who waits look again."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()

    @contextmanager
    def bell(self) -> Generator["asyncio.Future[None]"]:
        """What rings when something comes from now on; to be asked for before looking at what is there."""
        bell: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(bell)
        try:
            yield bell
        finally:
            self._waiting.discard(bell)

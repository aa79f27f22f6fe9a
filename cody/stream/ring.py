"""A run's newest entries in memory, and the bell that rings when more come."""

import asyncio
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from cody.contract.cursor import START
from cody.stream.entry import Entry

RING_BYTES = 4 << 20
"""What a run's ring keeps for followers that lag; who lags more reads from Redis for itself."""


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

"""The runs that somebody watches in this process: a ring each, a cursor per follower, no queue per follower."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager

from cody.stream.budget import HUB_BYTES, Budget
from cody.stream.entry import Entry
from cody.stream.follower import Follower
from cody.stream.log import Log
from cody.stream.ring import RING_BYTES, Ring


class Rings(ABC):
    """What a hub fills and its followers read; `_new` is set when there is a ring that it does not know."""

    def __init__(self, log: Log, ring_bytes: int = RING_BYTES, hub_bytes: int = HUB_BYTES) -> None:
        """A ring keeps `ring_bytes` of events at most, all of them together `hub_bytes`."""
        self._ring_bytes = ring_bytes
        self._budget = Budget(hub_bytes)
        self.log = log
        self._rings: dict[str, Ring] = {}
        self._new = asyncio.Event()
        self.closed = False

    def close(self) -> None:
        """Wake every follower, to see that this process shuts down."""
        self.closed = True
        for ring in self._rings.values():
            ring.wake()

    @abstractmethod
    async def run(self) -> None:
        """Fill the rings until cancelled."""

    async def aclose(self) -> None:
        """Close what is this hub's own, when it runs no more."""
        return

    @property
    def watched(self) -> dict[str, int]:
        """How many followers each watched run has."""
        return {run_id: ring.followers for run_id, ring in list(self._rings.items())}

    @property
    def ring_bytes(self) -> int:
        """Of events, in all rings."""
        return self._budget.size

    @contextmanager
    def follow(self, run_id: str, after: int) -> Generator[Follower]:
        """Follow a run from after this SEQ, for as long as the context lasts."""
        follower = self.join(run_id, after)
        try:
            yield follower
        finally:
            self.leave(follower)

    def expect(self, run_id: str, after: int) -> AbstractContextManager[object]:
        """Watch a run in which this process is about to write what follows on this SEQ, for as long as the context
        lasts.
        """
        return self.follow(run_id, after)

    def join(self, run_id: str, after: int, listener: Callable[[], None] | None = None) -> Follower:
        """Follow a run from after this SEQ until `leave`; the listener is told of news from now on."""
        ring = self._rings.get(run_id)
        if ring is None:
            ring = self._begin_ring(run_id)
            self._new.set()
        ring.followers += 1
        if listener is not None:
            ring.listeners.add(listener)
        return Follower(run_id, after, ring, self.log, listener)

    def _begin_ring(self, run_id: str) -> Ring:
        ring = self._rings[run_id] = Ring(self._ring_bytes, self._budget)
        return ring

    def leave(self, follower: Follower) -> None:
        """Follow no more; the last one takes the run's ring along."""
        ring = follower.ring
        ring.followers -= 1
        if follower.listener is not None:
            ring.listeners.discard(follower.listener)
        if not ring.followers and self._rings.get(follower.run_id) is ring:
            del self._rings[follower.run_id]
            self._budget.release(ring)

    def hear(self, run_id: str, appended: Sequence[Entry]) -> None:
        """What this process has appended just now: its followers have it at once, and Redis need not send it back."""
        ring = self._rings.get(run_id)
        if ring is not None and ring.base is not None:
            ring.hear(appended)
            if not ring.is_heard:
                self._new.set()  # a read that is waiting may not know of it

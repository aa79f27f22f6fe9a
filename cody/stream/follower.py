"""One reader's place in one run's log: the ring where it reaches, the log itself where it does not."""

import asyncio
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from cody.metrics import RING_MISSES
from cody.stream.chunk import Chunk, Types, chunk_of
from cody.stream.entry import Entry
from cody.stream.log import Log
from cody.stream.ring import Ring

READ_COUNT = 1000


class Trimmed(Exception):
    """Entries after a follower's cursor are no longer in Redis."""


class Follower:
    """A place that goes forward, either by `take` or by `chunk` and `read`."""

    __slots__ = ("_log", "_own", "listener", "ring", "run_id", "seq")

    def __init__(self, run_id: str, after: int, ring: Ring, log: Log, listener: Callable[[], None] | None) -> None:
        self.run_id = run_id
        self.seq = after
        self.ring = ring
        self.listener = listener
        """Told when the ring has news; it calls `chunk` then."""
        self._log = log
        self._own: Sequence[Entry] = ()
        """What it read for itself, and did not give yet."""

    @property
    def behind(self) -> int:
        """Entries that the hub has read and this place has not come to."""
        return max(0, self.ring.last.seq - self.seq)

    @property
    def oldest(self) -> Entry | None:
        """The first of them, or the first that the ring still has."""
        base = self.ring.base
        if base is None or not self.behind:
            return None
        return next(iter(self.ring.entries[max(0, self.seq + 1 - base) :][:1]), None)

    async def take(self, seconds: float) -> Sequence[Entry]:
        """All that is ready after this place, at once; nothing if nothing comes for `seconds`, or the hub stirs.

        Raises Trimmed when Redis lost what comes next, RedisGone when it has to be asked and is away.
        """
        with self._bell() as bell:
            found = self.ring.after(self.seq) if self.is_live else await self._from_log()
            if not found:
                await asyncio.wait((bell,), timeout=seconds)
                found = self.ring.after(self.seq)
        if found:
            self.seq = found[-1].seq
        return found

    def chunk(self, types: Types) -> Chunk | None:
        """What is at hand after this place, as frames; None if nothing is: it may be for `read` to get it."""
        chunk = chunk_of(self._own, 0, types) if self._own else self.ring.chunk(self.seq, types)
        if chunk is not None:
            self._own = self._own[chunk.length :]
            self.seq = chunk.seq
        return chunk

    @property
    def is_live(self) -> bool:
        """Whether all that follows comes by the ring."""
        return self.ring.reaches(self.seq)

    async def read(self) -> None:
        """Get what the ring does not have, for `chunk` to give. Raises as `take` does."""
        self._own = await self._from_log()

    async def _from_log(self) -> Sequence[Entry]:
        RING_MISSES.inc()
        found = await self._log.after(self.run_id, self.seq, READ_COUNT)
        if found and not found[0].follows(self.seq):
            raise Trimmed(f"{self.run_id}: SEQ {self.seq + 1} to {found[0].seq - 1}")
        return found

    @contextmanager
    def _bell(self) -> Generator["asyncio.Future[None]"]:
        """What rings when something comes from now on; to be asked for before looking at what is there."""
        bell: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def ring() -> None:
            if not bell.done():
                bell.set_result(None)

        self.ring.listeners.add(ring)
        try:
            yield bell
        finally:
            self.ring.listeners.discard(ring)

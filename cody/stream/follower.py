"""One reader's place in one run's log: the ring where it reaches, the log itself where it does not."""

import asyncio
from collections.abc import Sequence

from cody.metrics import RING_MISSES
from cody.stream.entry import Entry
from cody.stream.log import Log
from cody.stream.ring import Ring

READ_COUNT = 1000


class Trimmed(Exception):
    """Entries after a follower's cursor are no longer in Redis."""


class Follower:
    """One reader's place in one run's log."""

    def __init__(self, run_id: str, after: int, ring: Ring, log: Log) -> None:
        self.run_id = run_id
        self.seq = after
        self._ring = ring
        self._log = log

    @property
    def behind(self) -> int:
        """Entries that the hub has read and this place has not come to."""
        return max(0, self._ring.last.seq - self.seq)

    @property
    def oldest(self) -> Entry | None:
        """The first of them, or the first that the ring still has."""
        base = self._ring.base
        if base is None or not self.behind:
            return None
        return next(iter(self._ring.entries[max(0, self.seq + 1 - base) :][:1]), None)

    async def take(self, seconds: float) -> Sequence[Entry]:
        """All that is ready after this place, at once; nothing if nothing comes for `seconds`, or the hub stirs.

        Raises Trimmed when Redis lost what comes next, RedisGone when it has to be asked and is away.
        """
        with self._ring.bell() as bell:
            found = await self._look()
            if not found:
                await asyncio.wait((bell,), timeout=seconds)
                found = self._ready()
        if found:
            self.seq = found[-1].seq
        return found

    async def _look(self) -> Sequence[Entry]:
        """What is there after this place: in the ring, or in Redis where the ring does not reach."""
        ring = self._ring
        if ring.base is not None and self.seq + 1 >= ring.base:
            return self._ready()
        RING_MISSES.inc()
        found = await self._log.after(self.run_id, self.seq, READ_COUNT)
        if found and not found[0].follows(self.seq):
            raise Trimmed(f"{self.run_id}: SEQ {self.seq + 1} to {found[0].seq - 1}")
        return found

    def _ready(self) -> Sequence[Entry]:
        base = self._ring.base
        if base is None or self.seq + 1 < base:
            return ()
        return self._ring.entries[self.seq + 1 - base :]

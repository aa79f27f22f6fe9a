"""One reader per process for all watched runs, over one connection to the one Redis that has them."""

import asyncio
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress

from redis.asyncio import Redis

from cody.contract.cursor import START, Cursor
from cody.stream.budget import HUB_BYTES
from cody.stream.connection import BLOCK_MS, RedisGone
from cody.stream.entry import Entry
from cody.stream.follower import READ_COUNT
from cody.stream.log import Log
from cody.stream.ring import HEARD_SECONDS, RING_BYTES, Ring
from cody.stream.rings import Rings
from cody.stream.tail import Tail

_PAUSE_SECONDS = 0.25
EXPECTED_SECONDS = 0.25
"""How long a run is left unread in which this process is about to write: most short turns are over by then, and have
cost Redis no read. What others write is seen so late.
"""


class Hub(Rings):
    """Follows the logs of all runs that somebody watches, over one connection; `run` is its task."""

    def __init__(
        self,
        log: Log,
        blocking: Redis,
        *,
        ring_bytes: int = RING_BYTES,
        hub_bytes: int = HUB_BYTES,
        expected_seconds: float = EXPECTED_SECONDS,
    ) -> None:
        super().__init__(log, ring_bytes, hub_bytes)
        self._tail = Tail(blocking)
        self._expected_seconds = expected_seconds

    async def aclose(self) -> None:
        """Close the connection that it reads by."""
        await self._tail.aclose()

    @contextmanager
    def expect(self, run_id: str, after: int) -> Generator[None]:
        """As `Rings.expect`: Redis is not asked for what is heard here, unless it goes on for longer."""
        if run_id not in self._rings:
            ring = self._begin_ring(run_id)
            ring.expect(after, self._expected_seconds)
            asyncio.get_running_loop().call_later(self._expected_seconds, self._read_too, run_id, ring)
        with self.follow(run_id, after):
            yield

    def _read_too(self, run_id: str, ring: Ring) -> None:
        if self._rings.get(run_id) is ring:
            self._new.set()

    async def run(self) -> None:
        """Read until cancelled; while Redis is away, try again."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read_forever())
            tasks.create_task(self._interrupt_reads())

    async def _read_forever(self) -> None:
        told = True
        while True:
            try:
                self._new.clear()
                if not told:
                    await self._tell_what_was_seen()
                    told = True
                await self._find_ends()
                await self._read_once()
            except RedisGone:
                told = False
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _tell_what_was_seen(self) -> None:
        """A Redis that comes back may have lost what our followers have."""
        for run_id, ring in list(self._rings.items()):
            if ring.last.seq:
                await self.log.saw(run_id, ring.last.seq)

    async def _find_ends(self) -> None:
        """Give each new ring its place: what is older, its followers read for themselves."""
        for run_id, ring in list(self._rings.items()):
            if ring.base is None:
                last = await self.log.last(run_id)
                ring.last = last.cursor if last else START
                ring.base = ring.last.seq + 1
                ring.wake()

    async def _read_once(self) -> None:
        known = {run_id: ring for run_id, ring in self._rings.items() if ring.base is not None}
        places = {run_id: ring.last for run_id, ring in known.items() if not ring.is_heard}
        patience = BLOCK_MS / 1000 if len(places) == len(known) else HEARD_SECONDS
        if not places:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience if known else None):
                    await self._new.wait()
            return
        for run_id, entries in (await self._tail.read(places, READ_COUNT, round(patience * 1000))).items():
            if entries and run_id in self._rings:
                self._extend(self._rings[run_id], places[run_id], entries)

    def _extend(self, ring: Ring, asked: Cursor, entries: Sequence[Entry]) -> None:
        """Only what follows the place that was asked for: the ring may be a newer one of the same run."""
        if ring.last == asked:
            ring.extend(entries)

    async def _interrupt_reads(self) -> None:
        """A read that is already waiting does not know a run that was added since: unblock it until it does."""
        while True:
            await self._new.wait()
            try:
                if self._tail.client_id is not None:
                    await self.log.unblock(self._tail.client_id)
            except RedisGone:
                await asyncio.sleep(_PAUSE_SECONDS)
            await asyncio.sleep(0.002)

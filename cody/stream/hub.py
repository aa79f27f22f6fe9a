"""One reader per process for all watched runs: a ring per run, a cursor per follower, no queue per follower."""

import asyncio
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress

from cody.contract.cursor import START, Cursor
from cody.stream.connection import BLOCK_MS, AsyncRedis, RedisGone
from cody.stream.entry import Entry
from cody.stream.follower import READ_COUNT, Follower
from cody.stream.log import Log
from cody.stream.ring import HEARD_SECONDS, RING_BYTES, Ring

_PAUSE_SECONDS = 0.25


class Hub:
    """Follows the logs of all runs that somebody watches, over one connection; `run` is its task."""

    def __init__(self, log: Log, blocking: AsyncRedis, *, ring_bytes: int = RING_BYTES) -> None:
        self._ring_bytes = ring_bytes
        self.log = log
        self._blocking = Log(blocking)
        self._rings: dict[str, Ring] = {}
        self._new = asyncio.Event()
        self._connection: int | None = None
        self.closed = False

    def close(self) -> None:
        """Wake every follower, to see that this process shuts down."""
        self.closed = True
        for ring in self._rings.values():
            ring.wake()

    @property
    def watched(self) -> dict[str, int]:
        """How many followers each watched run has."""
        return {run_id: ring.followers for run_id, ring in list(self._rings.items())}

    @property
    def ring_bytes(self) -> int:
        """Of events, in all rings."""
        return sum(ring.size for ring in list(self._rings.values()))

    @contextmanager
    def follow(self, run_id: str, after: int) -> Generator[Follower]:
        """Follow a run from after this SEQ, for as long as the context lasts."""
        follower = self.join(run_id, after)
        try:
            yield follower
        finally:
            self.leave(follower)

    def join(self, run_id: str, after: int, listener: Callable[[], None] | None = None) -> Follower:
        """Follow a run from after this SEQ until `leave`; the listener is told of news from now on."""
        ring = self._rings.get(run_id)
        if ring is None:
            ring = self._rings[run_id] = Ring(self._ring_bytes)
            self._new.set()
        ring.followers += 1
        if listener is not None:
            ring.listeners.add(listener)
        return Follower(run_id, after, ring, self.log, listener)

    def leave(self, follower: Follower) -> None:
        """Follow no more; the last one takes the run's ring along."""
        ring = follower.ring
        ring.followers -= 1
        if follower.listener is not None:
            ring.listeners.discard(follower.listener)
        if not ring.followers and self._rings.get(follower.run_id) is ring:
            del self._rings[follower.run_id]

    def hear(self, run_id: str, appended: Sequence[Entry]) -> None:
        """What this process has appended just now: its followers have it at once, and Redis need not send it back."""
        ring = self._rings.get(run_id)
        if ring is not None and ring.base is not None:
            ring.hear(appended)

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
                self._connection, told = None, False
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
        if self._connection is None:
            self._connection = await self._blocking.client_id()
        known = {run_id: ring for run_id, ring in self._rings.items() if ring.base is not None}
        places = {run_id: ring.last for run_id, ring in known.items() if not ring.is_heard}
        patience = BLOCK_MS / 1000 if len(places) == len(known) else HEARD_SECONDS
        if not places:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience if known else None):
                    await self._new.wait()
            return
        for run_id, entries in (await self._blocking.read(places, READ_COUNT, round(patience * 1000))).items():
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
                if self._connection is not None:
                    await self.log.unblock(self._connection)
            except RedisGone:
                self._connection = None
            await asyncio.sleep(0.002)

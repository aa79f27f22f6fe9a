"""One reader per process for all watched runs: a ring per run, a cursor per follower, no queue per follower."""

import asyncio
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from cody.contract.cursor import START, Cursor
from cody.stream.connection import BLOCK_MS, AsyncRedis, RedisGone
from cody.stream.entry import Entry
from cody.stream.log import Log

RING_BYTES = 4 << 20
"""What a run's ring keeps for followers that lag; who lags more reads from Redis for itself."""
READ_COUNT = 1000
_PAUSE_SECONDS = 0.25


class Trimmed(Exception):
    """Entries after a follower's cursor are no longer in Redis."""


class _Ring:
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


class Follower:
    """One reader's place in one run's log."""

    def __init__(self, run_id: str, after: int, ring: _Ring, log: Log) -> None:
        self.run_id = run_id
        self.seq = after
        self._ring = ring
        self._log = log

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
        found = await self._log.after(self.run_id, self.seq, READ_COUNT)
        if found and found[0].seq != self.seq + 1 and found[0].type != "log_gap":
            raise Trimmed(f"{self.run_id}: SEQ {self.seq + 1} to {found[0].seq - 1}")
        return found

    def _ready(self) -> Sequence[Entry]:
        base = self._ring.base
        if base is None or self.seq + 1 < base:
            return ()
        return self._ring.entries[self.seq + 1 - base :]


class Hub:
    """Follows the logs of all runs that somebody watches, over one connection; `run` is its task."""

    def __init__(self, log: Log, blocking: AsyncRedis, *, ring_bytes: int = RING_BYTES) -> None:
        self._ring_bytes = ring_bytes
        self.log = log
        self._blocking = Log(blocking)
        self._rings: dict[str, _Ring] = {}
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
        return {run_id: ring.followers for run_id, ring in self._rings.items()}

    @contextmanager
    def follow(self, run_id: str, after: int) -> Generator[Follower]:
        """Follow a run from after this SEQ, for as long as the context lasts."""
        ring = self._rings.get(run_id)
        if ring is None:
            ring = self._rings[run_id] = _Ring(self._ring_bytes)
            self._new.set()
        ring.followers += 1
        try:
            yield Follower(run_id, after, ring, self.log)
        finally:
            ring.followers -= 1
            if not ring.followers and self._rings.get(run_id) is ring:
                del self._rings[run_id]

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
        places = {run_id: ring.last for run_id, ring in self._rings.items() if ring.base is not None}
        if not places:
            await self._new.wait()
            return
        for run_id, entries in (await self._blocking.read(places, READ_COUNT, BLOCK_MS)).items():
            if entries and run_id in self._rings:
                self._extend(self._rings[run_id], places[run_id], entries)

    def _extend(self, ring: _Ring, asked: Cursor, entries: Sequence[Entry]) -> None:
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

"""A run's log as one, wherever its parts are: what Redis no longer has comes from the archive, without a seam."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple

from cody.archive.packing import unpack
from cody.contract.cursor import Cursor
from cody.contract.events import TERMINAL
from cody.store import ArchiveStore, DatabaseGone
from cody.stream.connection import AsyncRedis
from cody.stream.entry import Entry
from cody.stream.log import Log
from cody.stream.look import look
from cody.stream.mending import Mending


class ArchiveGone(ConnectionError):
    """The store is away, and with it what only it knows of a log: to who reads or writes that, one of `RedisGone`."""


@contextmanager
def store_of_log() -> Generator[None]:
    """Whoever waits for Redis waits for the store in the same way."""
    try:
        yield
    except DatabaseGone as error:
        raise ArchiveGone(str(error)) from error


class View(NamedTuple):
    """A log as it was at one moment, as of one SEQ."""

    end: Cursor
    """Of its last entry; only what is known of it unless the log is `whole`."""
    over: bool
    """That is the end of the run."""
    whole: bool
    """Nothing that was said is missing, but what the archive has forgotten."""
    here: Entry | None
    """The entry of that SEQ, if it is kept anywhere."""
    in_redis: Entry | None
    """The oldest one that Redis has."""


class WholeLog(Log):
    """`Log`, whose readers do not see where the archive ends and Redis begins."""

    def __init__(self, redis: AsyncRedis, archive: ArchiveStore) -> None:
        super().__init__(redis)
        self._archive = archive
        self._mending = Mending(redis)

    async def is_sound(self, run_id: str) -> bool:
        """Whether Redis is known to have all that the log has said and the archive does not have."""
        return await self._mending.is_sound(run_id)

    async def incarnations(self) -> dict[str, str]:
        """By node of Redis: another one than before where it may have lost something; see `Mending`."""
        return await self._mending.incarnations()

    def node_of(self, run_id: str) -> str:
        """Which of them has the run's log."""
        return self._mending.node_of(run_id)

    async def after(self, run_id: str, seq: int, count: int = 1000) -> list[Entry]:
        """At most `count` entries above `seq`, in order; what is gone for good is a hole before the first one."""
        found = await super().after(run_id, seq, count)
        if found and found[0].follows(seq):
            return found
        return (await self.archived(run_id, seq))[:count] or found

    async def archived(self, run_id: str, seq: int) -> list[Entry]:
        """The next entries above `seq` as the archive has them, if it does."""
        with store_of_log():
            chunk = await self._archive.holding(run_id, seq + 1)
        if chunk is None:
            return []
        return [entry for entry in await asyncio.to_thread(unpack, chunk.data) if entry.seq > seq]

    async def view(self, run_id: str, seq: int) -> View:
        """Look at the log, and at the entry of `seq`.

        At Redis first, and at once: what it has let go of by then is in the archive, however late that is asked.
        """
        seen = await look(self.redis, run_id, seq)
        here = await self._archived_at(run_id, seq) if seen.here is None else seen.here
        if seen.last is not None:
            end, over = seen.last.cursor, seen.last.type in TERMINAL
        else:
            with store_of_log():
                reached, over = await self._archive.reach(run_id)
            last = await self._archived_at(run_id, reached)
            end = last.cursor if last else Cursor(reached, None if reached else 0)
        return View(end, over, over or seen.sound, here, seen.first)

    async def oldest(self, run_id: str, in_redis: Entry | None) -> Entry | None:
        """The oldest entry that is kept anywhere, if Redis begins with this one."""
        span = await self._span(run_id)
        kept = await self.archived(run_id, span[0] - 1) if span else []
        return next(iter(kept), in_redis)

    async def at(self, run_id: str, seq: int) -> Entry | None:
        """The entry of this SEQ, if it is kept anywhere."""
        found = await super().at(run_id, seq)
        return await self._archived_at(run_id, seq) if found is None else found

    async def first(self, run_id: str) -> Entry | None:
        """The oldest entry that is kept anywhere."""
        return await self.oldest(run_id, await super().first(run_id))

    async def last(self, run_id: str) -> Entry | None:
        """The newest entry that is kept anywhere."""
        found = await super().last(run_id)
        if found is None and (span := await self._span(run_id)) is not None:
            found = await self.at(run_id, span[1])
        return found

    async def _archived_at(self, run_id: str, seq: int) -> Entry | None:
        found = await self.archived(run_id, seq - 1) if seq else []
        return found[0] if found and found[0].seq == seq else None  # not the gap that stands for it

    async def _span(self, run_id: str) -> tuple[int, int] | None:
        with store_of_log():
            return await self._archive.span(run_id)

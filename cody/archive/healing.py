"""A log that heals: what Redis loses of it is written again, at the same SEQs, before anything else is (ADR 015).

Every append asks the script whether this is still the Redis that is known to have all of the log. If not, each worker
brings what it holds of it, the store tells the rest, and the log goes on above every SEQ that was ever handed out.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

from cody.archive.holdings import Holdings
from cody.archive.mend import Mend, books_of_archive, mend
from cody.archive.packing import unpack
from cody.archive.whole import WholeLog, store_of_log
from cody.metrics import HEALS
from cody.store import FIRST_LEASE, DatabaseGone, Known, Store
from cody.stream.books import place_of
from cody.stream.connection import AsyncRedis, RedisGone
from cody.stream.entry import Entry
from cody.stream.log import Appended, Fence, Log


@dataclass(frozen=True)
class HealingPatience:
    """How long others may take to bring what they have."""

    lossy_seconds: float = 10.0
    """Before what nobody brought is given up: twice the time after which a worker that does not beat counts as lost."""
    unsure_seconds: float = 3.0
    """Where nothing seems to be lost, but a writer is silent: a few rounds of its healer."""


_LOOK_SECONDS = 0.25
_LOOK_BACK = 2000
"""How many entries back events of a repeated append are looked for, where nothing is held: some batches of a writer."""
ROUND_SECONDS = 1.0
_TRIES_AT_ONCE = 16
_log = logging.getLogger(__name__)


class HealingLog(WholeLog):
    """`WholeLog` for whoever writes; one to a process, as it knows what this process has appended."""

    first_lease = FIRST_LEASE

    def __init__(self, redis: AsyncRedis, store: Store, patience: HealingPatience | None = None) -> None:
        super().__init__(redis, store.archive)
        self.holdings = Holdings()
        self.tell: Callable[[str, Sequence[Entry]], None] | None = None
        """Who is to know at once what was appended here (`Hub.hear`)."""
        self._store = store.healing
        self._patience = patience or HealingPatience()
        self._tries = asyncio.Semaphore(_TRIES_AT_ONCE)
        self._one_at_a_time: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def begins(self, run_id: str, epoch: int) -> None:
        """What this process has not appended in the attempt's name, nobody has: it tells so where the log is healed."""
        self.holdings.begins(run_id, epoch)

    def held(self, run_id: str, epoch: int, types: Collection[str]) -> Sequence[Entry]:
        """As `Log.held`; what is archived needs no holding."""
        return self.holdings.of_types(run_id, epoch, types)

    async def append(
        self, run_id: str, epoch: int, first: int, events: Sequence[tuple[str, bytes]], *, whole: bool = False
    ) -> Appended:
        """As `Log.append`; waits for the log to be healed where that is needed."""
        if epoch and not whole:
            self.begins(run_id, epoch)
        if not epoch and first == 1 and await self._store.is_claimed(run_id):
            # The first words, said again after attempts have written: an empty Redis would take them for a new log's.
            await self.heal(run_id)
        while True:
            try:
                done = await super().append(run_id, epoch, first, events, whole=whole)
            except BaseException:  # a cancellation too: whoever does not wait for the answer does not know
                self.holdings.doubt(run_id, epoch, (event for _, event in events))
                raise
            if done.outcome == "unsure":
                await self.heal(run_id)
            elif done.outcome == "lease":
                await self._extend(run_id, done.seq + len(events))
            else:
                break
        if done.outcome == "ok":
            appended = await self._appended(run_id, done, events)
            self.holdings.hold(run_id, appended)
            self.holdings.settle(run_id, epoch, [entry.event for entry in appended])
            if self.tell is not None:
                self.tell(run_id, appended)
        else:
            await self.look_again(run_id)
        return done

    async def look_again(self, run_id: str) -> None:
        """Hold what was appended here although the answer was lost, by what the log says."""
        for epoch, events in self.holdings.doubts(run_id).items():
            books = await super().fence(run_id)
            held = {entry.seq for entry in self.holdings.of(run_id)[0]}
            found = await self._found(run_id, epoch, books.seq, events)
            self.holdings.hold(run_id, [entry for entry in found if entry.seq not in held])
            if await self.is_sound(run_id):  # or it is not said that what is missing was not appended
                self.holdings.settle(run_id, epoch, events)

    async def seal(self, run_id: str, epoch: int) -> bool:
        """As `Log.seal`, and for good."""
        await self.heal(run_id)
        never_wrote = await super().seal(run_id, epoch)
        if never_wrote:
            await self._store.seal(run_id, epoch)
        return never_wrote

    async def settle(self, run_id: str, done: int, epoch: int) -> bool:
        """As `Log.settle`, and for good."""
        await self.heal(run_id)
        settled = await super().settle(run_id, done, epoch)
        if settled:
            await self._store.seal(run_id, epoch)
        return settled

    async def fence(self, run_id: str) -> Fence:
        """The books, once they are known to be right."""
        await self.heal(run_id)
        return await super().fence(run_id)

    async def heal(self, run_id: str) -> None:
        """Return when Redis has all that was ever said in the run's log, or a `log_gap` for what nobody has."""
        if await self.is_sound(run_id):
            return
        async with self._one_at_a_time.setdefault(run_id, asyncio.Lock()):
            since = time.monotonic()
            while not await self.is_sound(run_id):
                try:
                    # Only for a try: while it waits for what others have of one log, others wait for it at the next.
                    async with self._tries:
                        healed = await self._heal(run_id, time.monotonic() - since)
                except DatabaseGone as error:
                    _log.warning("%s: the store is away, so its log has to wait", run_id, exc_info=error)
                    healed = False
                if not healed:
                    await asyncio.sleep(_LOOK_SECONDS)

    async def _heal(self, run_id: str, waited_seconds: float) -> bool:
        """One try; False if somebody else may still bring something, or was faster."""
        known = await self._store.known(run_id)
        books = await super().fence(run_id)
        if known is None:
            return await self._mending.finish(run_id, books)
        held, writers = self.holdings.of(run_id)
        lost = [entry for entry in held if entry.seq > max(books.seq, known.archived)]
        await self._mending.bring(run_id, lost, writers, emptied=not books.seq)
        if known.archived > books.seq:
            base = await self._archived_books(run_id, known)
            if not await self._mending.begin(run_id, books, base):
                return False
            books = base
        salvage = await self._mending.salvage(run_id)
        plan = mend(run_id, books, salvage, known)
        patience = self._patience.lossy_seconds if plan.lossy else self._patience.unsure_seconds * plan.unsure
        if waited_seconds < patience:
            return False
        return await self._apply(run_id, books, plan, known)

    async def _apply(self, run_id: str, books: Fence, plan: Mend, known: Known) -> bool:
        lease = known.reserved
        if plan.books.seq > lease:
            lease = await self._store.reserve(run_id, plan.books.seq)
        if not await self._mending.add(run_id, plan.steps, books.seq):
            return False
        held = {entry.seq for entry in self.holdings.of(run_id)[0]}
        self.holdings.hold(run_id, [entry for _, entry in plan.steps if entry.seq not in held])
        await self._mending.lend(run_id, lease)
        if not await self._mending.finish(run_id, plan.books):
            return False
        if plan.steps:
            HEALS.labels("gap" if plan.lossy else "whole").inc()
            word = "lost for good in part" if plan.lossy else "written again"
            _log.warning("%s: SEQ %d to %d were %s", run_id, books.seq + 1, plan.books.seq, word)
        if known.settled:
            await self.trim(run_id, plan.books.seq, forget=True)
        return True

    async def _archived_books(self, run_id: str, known: Known) -> Fence:
        """The books at the end of the archive."""
        seq, last = known.archived, None
        back: list[Entry] = []
        while (data := await self._store.chunk_before(run_id, seq)) is not None:
            entries = await asyncio.to_thread(unpack, data)
            back += reversed(entries)
            last = books_of_archive(known, iter(back))
            if last.epoch or entries[0].seq == 1:
                break
            seq = entries[0].seq - 1
        return last or Fence(seq=known.archived, lifecycle=known.archived_words, terminal=int(known.whole))

    async def _extend(self, run_id: str, seq: int) -> None:
        """Have more SEQs reserved, before they are handed out."""
        with store_of_log():
            lease = await self._store.reserve(run_id, seq)
        if lease < seq:
            raise LookupError(f"run {run_id} is not in the store")
        await self._mending.lend(run_id, lease)

    async def _appended(self, run_id: str, done: Appended, events: Sequence[tuple[str, bytes]]) -> list[Entry]:
        """The entries that these events are now."""
        new = len(events) - done.count
        fresh = [
            Entry(done.seq - done.count + place, done.epoch, type_, event)
            for place, (type_, event) in enumerate(events[new:], 1)
        ]
        if not new:
            return fresh
        epoch = place_of(events[0][1])[0]
        return [*await self._found(run_id, epoch, done.seq, {event for _, event in events[:new]}), *fresh]

    async def _found(self, run_id: str, epoch: int, seq: int, events: Collection[bytes]) -> list[Entry]:
        """Those of a writer that the log, which is at `seq`, has: the reply that told of them was lost, or another
        worker mended them in.
        """
        at = self.holdings.last(run_id, epoch) or max(0, seq - _LOOK_BACK)
        found: list[Entry] = []
        while len(found) < len(events) and (entries := await Log.after(self, run_id, at)):
            found += [entry for entry in entries if entry.event in events]
            at = entries[-1].seq
        return found


class Healer:
    """One to a worker: heals logs that nobody writes to just now, and lets go of what the archive has."""

    def __init__(self, log: HealingLog, store: Store) -> None:
        self._log = log
        self._store = store.healing
        self._seen: dict[str, str] = {}

    async def run(self) -> None:
        """Go round until cancelled."""
        while True:
            try:
                await self.round()
            except* (*RedisGone, *DatabaseGone):
                _log.debug("the healer has to wait", exc_info=True)
            await asyncio.sleep(ROUND_SECONDS)

    async def round(self) -> None:
        """Look whether each node of Redis is what it was; where not, at every log that it should have."""
        await self._let_go()
        await asyncio.gather(*map(self._look_again, self._log.holdings.doubtful))
        here = await self._log.incarnations()
        other = {node: said for node, said in here.items() if self._seen.get(node) != said}
        if not other:
            return
        ours = self._log.holdings.runs
        others = set(await self._store.in_redis()).difference(ours)

        async def heal(run_id: str, node: str) -> None:
            try:
                await self._log.heal(run_id)
            except RedisGone:
                other.pop(node, None)  # to be looked at again

        async with asyncio.TaskGroup() as tasks:
            for run_id in (*ours, *sorted(others)):
                if (node := self._log.node_of(run_id)) in other:
                    tasks.create_task(heal(run_id, node))
        self._seen |= other

    async def _look_again(self, run_id: str) -> None:
        with contextlib.suppress(*RedisGone):  # the node that has this log is away, and others are not
            await self._log.look_again(run_id)

    async def _let_go(self) -> None:
        for run_id, (archived, over) in (await self._store.archived(self._log.holdings.runs)).items():
            self._log.holdings.let_go(run_id, archived, over=over)

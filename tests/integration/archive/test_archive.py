"""What a log has said leaves Redis for the archive, and its readers do not notice."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from activities.beside import beside
from api.archive_size import ArchiveSize
from cody.archive.archivist import CHUNK_BYTES, Archivist, Retention
from cody.archive.packing import pack, unpack
from cody.archive.whole import WholeLog
from cody.contract.events import encode
from cody.contract.payloads import LogGap
from cody.store import ArchivePatience, Store
from cody.store.tables import runs
from cody.stream.connection import RedisGone
from cody.stream.entry import Entry
from cody.stream.keys import fence_key, log_key
from cody.stream.log import BOOKS_SECONDS, Log
from tests.figures import own
from tests.integration.store.store_stage import AT, begin, change
from tests.integration.stream.stream_stage import events, say, speaker
from tests.parts import RedisServer, new_run_id, until
from tests.postgres import PostgresServer

FAILURES, ROUND = "cody_archive_failures_total", "cody_archive_round_timestamp_seconds"
AT_ONCE = Retention(young_seconds=0, gather_events=1)
ANYTHING = ArchivePatience(events=1, gathered_since=2**53, young_after=2**53)


def told(entries: Sequence[Entry]) -> list[tuple[int, int, str, bytes]]:
    return [(entry.seq, entry.epoch, entry.type, entry.event) for entry in entries]


class Stage:
    """A run of `said` events of which all are projected; it goes on until it is told to end."""

    def __init__(self, store: Store, log: Log, run_id: str) -> None:
        self.store, self.log, self.run_id = store, log, run_id
        self.whole = WholeLog(log.redis, store.archive)
        self.said: list[tuple[int, int, str, bytes]] = []

    async def say(self, count: int, *, projected: bool = True) -> None:
        number = len(self.said) + 1
        await say(self.log, self.run_id, number, *["item_delta"] * count)
        await self._know()
        if projected:
            await self._project()

    async def end(self) -> None:
        await say(self.log, self.run_id, len(self.said) + 1, "turn_completed")
        await self._know()
        await self._project()
        who = speaker(self.run_id)
        await self.log.append(self.run_id, 0, 1, events(who, 1, ["run_completed"]))
        await self._know()
        await self.store.runs.record(change(self.run_id, 2, "completed"))

    async def _know(self) -> None:
        last = self.said[-1][0] if self.said else 0
        while entries := await Log.after(self.log, self.run_id, last):
            self.said += told(entries)
            last = entries[-1].seq

    async def _project(self) -> None:
        query = update(runs).where(runs.c.id == self.run_id).values(cursor_seq=self.said[-1][0])
        await self.store.database.write(lambda connection: connection.execute(query))

    async def archive(self, retention: Retention = AT_ONCE, chunk_bytes: int = CHUNK_BYTES) -> None:
        archivist = Archivist(self.store, self.log, retention, chunk_bytes=chunk_bytes)
        while await archivist.round():
            pass

    async def read(self, after: int = 0, page: int = 1000) -> list[tuple[int, int, str, bytes]]:
        found: list[Entry] = []
        while entries := await self.whole.after(self.run_id, found[-1].seq if found else after, page):
            found += entries
        return told(found)

    async def in_redis(self) -> int:
        return await self.log.redis.xlen(log_key(self.run_id))


@pytest.fixture
async def stage(store: Store, log: Log) -> Stage:
    return Stage(store, log, await begin(store))


ENTRIES = st.lists(
    st.builds(
        Entry,
        st.integers(1, 10**15),
        st.integers(0, 10**9),
        st.sampled_from(["item_delta", "run_queued"]),
        st.text().map(lambda text: text.replace("\n", " ").encode()),
    ),
    min_size=1,
)


@given(ENTRIES)
def test_what_is_packed_comes_out_as_it_was(entries: list[Entry]):
    assert told(unpack(pack(entries))) == told(entries)


async def test_a_log_reads_the_same_wherever_its_parts_are(stage: Stage):
    await stage.say(40)
    await stage.archive()
    chunk = await stage.store.archive.holding(stage.run_id, 1)
    assert chunk is not None
    assert await ArchiveSize(stage.store.archive).bytes() == len(chunk.data) > 0
    await stage.say(30)
    assert await stage.in_redis() == 30
    for after in (0, 1, 39, 40, 41, 69):
        for page in (1, 7, 1000):
            assert await stage.read(after, page) == stage.said[after:]
    for seq in (1, 40, 41, 70):
        entry = await stage.whole.at(stage.run_id, seq)
        assert entry is not None
        assert told([entry]) == [stage.said[seq - 1]]
    first, last = await stage.whole.first(stage.run_id), await stage.whole.last(stage.run_id)
    assert (first and first.seq, last and last.seq) == (1, 70)


async def test_what_is_archived_stays_in_redis_while_it_is_young(stage: Stage):
    await stage.say(10)
    await stage.archive(Retention(young_seconds=10**9, gather_events=1))
    assert await stage.in_redis() == 10
    assert await stage.store.archive.span(stage.run_id) == (1, 10)


async def test_what_is_not_projected_is_not_archived_yet(stage: Stage):
    await stage.say(10)
    await stage.say(5, projected=False)
    await stage.archive()
    assert await stage.store.archive.span(stage.run_id) == (1, 10)
    assert await stage.in_redis() == 5
    assert await stage.read() == stage.said


async def test_a_run_that_never_falls_silent_is_archived_all_the_same(stage: Stage):
    for _ in range(2):
        await stage.say(3)
        talking = update(runs).where(runs.c.id == stage.run_id).values(updated_at=AT + 10**6)
        await stage.store.database.write(lambda connection, talking=talking: connection.execute(talking))
        patience = [ArchivePatience(events=10**6, gathered_since=at, young_after=0) for at in (AT, AT + 1)]
        assert await stage.store.archive.due(patience[0]) == []
        assert [log.run_id for log in await stage.store.archive.due(patience[1])] == [stage.run_id]
        await stage.archive(Retention(young_seconds=10**12, gather_events=1))


async def test_a_log_with_too_many_bytes_is_trimmed_though_it_is_young(stage: Stage):
    await stage.say(100)
    size = sum(len(event) for *_, event in stage.said)
    await stage.archive(Retention(young_seconds=10**9, young_bytes=size // 2, gather_events=1), chunk_bytes=2000)
    assert 40 <= await stage.in_redis() <= 50
    assert await stage.read() == stage.said


async def test_redis_lets_go_of_a_run_that_ended_but_remembers_that_it_did(stage: Stage):
    await stage.say(10)
    await stage.end()
    await stage.archive()
    assert not await stage.log.redis.exists(log_key(stage.run_id))
    assert 0 < await stage.log.redis.ttl(fence_key(stage.run_id)) <= BOOKS_SECONDS
    assert await stage.read() == stage.said
    zombie = speaker(stage.run_id, 1, 1)
    late = await stage.log.append(stage.run_id, zombie.epoch, 12, events(zombie, 12, ["item_delta"]))
    assert late.outcome == "terminal"
    assert await stage.store.archive.due(ANYTHING) == []


async def test_many_archivists_at_once_leave_one_archive(stage: Stage):
    await stage.say(200)
    await stage.end()
    await asyncio.gather(*(stage.archive(chunk_bytes=500) for _ in range(8)))
    await stage.archive()
    chunks = await stage.store.archive.beyond(stage.run_id, 0)
    assert [chunk.first for chunk in chunks[1:]] == [chunk.last + 1 for chunk in chunks[:-1]]
    assert await stage.read() == stage.said


async def test_a_crash_between_archiving_and_trimming_leaves_work(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    await stage.say(10)

    async def crash(*_: object, **__: object) -> None:
        raise ConnectionError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(stage.log, "trim", crash)
        with pytest.raises(ConnectionError):
            await stage.archive()
    assert await stage.in_redis() == 10
    await stage.archive()
    assert await stage.in_redis() == 0
    assert await stage.read() == stage.said


async def test_a_round_that_fails_is_tried_again_and_seen(stage: Stage, redis_server: RedisServer):
    await stage.say(10)
    before = own()
    async with beside(Archivist(stage.store, stage.log, AT_ONCE).run()):
        async with redis_server.killed():
            await until(lambda: own().value(FAILURES) > before.value(FAILURES))
            assert own().value("cody_archive_waiting_runs") == 1
        await until(lambda: own().value(ROUND) > before.value(ROUND))
    assert await stage.store.archive.span(stage.run_id) == (1, 10)
    assert await stage.read() == stage.said


async def test_past_its_retention_the_archive_forgets_what_redis_has_let_go_of(stage: Stage):
    await stage.say(10)
    await stage.archive()
    await stage.say(10)
    await stage.archive(Retention(young_seconds=10**9, gather_events=1, archive_seconds=1))
    assert await stage.store.archive.span(stage.run_id) == (11, 20)
    first = await stage.whole.first(stage.run_id)
    assert first is not None
    assert first.seq == 11
    assert (await stage.whole.after(stage.run_id, 3))[0].seq == 11


async def test_a_gap_hides_nothing_that_only_the_archive_has(stage: Stage):
    await stage.say(3)
    await stage.archive()
    assert await stage.in_redis() == 0
    await _leave_gap(stage)
    assert await stage.read() == stage.said
    assert await stage.read(6) == stage.said[3:]


async def test_a_gap_is_archived_as_it_is_read(stage: Stage):
    await stage.say(3)
    await _leave_gap(stage)
    await stage.archive()
    assert await stage.in_redis() == 0
    assert await stage.read() == stage.said
    assert await stage.read(6) == stage.said[3:]


async def test_an_archived_gap_is_not_the_entry_of_a_place_in_it(stage: Stage):
    """Or a client that has seen what was lost later would be told that it was another attempt's."""
    await stage.say(3)
    await _leave_gap(stage)
    await stage.archive()
    for seq in range(4, 10):
        assert (await stage.whole.view(stage.run_id, seq)).here is None
        assert await stage.whole.at(stage.run_id, seq) is None
    for here in ((await stage.whole.view(stage.run_id, 10)).here, await stage.whole.at(stage.run_id, 10)):
        assert here is not None
        assert (here.seq, here.type) == (10, "log_gap")


async def _leave_gap(stage: Stage) -> None:
    gap = encode(speaker(stage.run_id), 1, "log_gap", AT, LogGap(from_=4, to=9))
    await stage.log.redis.xadd(log_key(stage.run_id), {"type": "log_gap", "event": gap}, id="10-1001")
    await stage.log.redis.hset(fence_key(stage.run_id), "seq", "10")
    await stage._know()
    await stage._project()


async def test_who_needs_a_store_that_is_away_waits_as_for_redis(log: Log, postgres_server: PostgresServer):
    with postgres_server.database() as url:
        store = Store(url)
        await store.open()
        whole, run_id = WholeLog(log.redis, store.archive), new_run_id()
        async with postgres_server.killed():
            for asked in (whole.after(run_id, 0), whole.first(run_id), whole.last(run_id), whole.view(run_id, 0)):
                with pytest.raises(RedisGone):
                    await asked
        assert await whole.last(run_id) is None
        await store.close()

"""The writer of an attempt: everything in order, at once or in big batches, through lost replies and a dead Redis."""

import asyncio
from collections.abc import Sequence

import pytest

from activities.beside import beside
from cody.stream.log import Appended, Log
from cody.stream.writer import BATCH_BYTES, BATCH_EVENTS, ROOM_BYTES, AttemptWriter, Fenced
from tests.figures import own
from tests.integration.stream.stream_proxy import proxy_to
from tests.integration.stream.stream_stage import (
    AT,
    aborted,
    assert_lawful,
    events,
    place,
    say,
    speaker,
    text,
    told,
    whole,
)
from tests.parts import PATIENCE_SECONDS, RedisServer, connected, new_run_id, until


class WatchedLog(Log):
    """A log that remembers how large the batches were."""

    def __init__(self, log: Log) -> None:
        super().__init__(log.redis)
        self.batches: list[list[int]] = []

    async def append(
        self, run_id: str, epoch: int, first: int, events: Sequence[tuple[str, bytes]], *, whole: bool = False
    ) -> Appended:
        self.batches.append([len(event) for _, event in events])
        return await super().append(run_id, epoch, first, events, whole=whole)


def emit(writer: AttemptWriter, *contents: str) -> None:
    for content in contents:
        writer.emit("item_delta", AT, text(content))


async def contents(log: Log, run_id: str) -> list[str]:
    """The texts in a log that keeps the law."""
    entries = await whole(log, run_id)
    assert_lawful(entries)
    return [told(entry)["payload"]["delta_content"] for entry in entries]


async def test_a_single_event_leaves_at_once(log: Log) -> None:
    run_id = new_run_id()
    writer = AttemptWriter(log, speaker(run_id, 1, 1))
    async with beside(writer.run()):
        for number in range(1, 4):
            emit(writer, f"{number}")
            # Neither more events nor a flush push it.
            await until(lambda number=number: _has(log, run_id, number))


async def test_a_flood_travels_in_order_and_in_big_batches(log: Log) -> None:
    watched, run_id = WatchedLog(log), new_run_id()
    writer = AttemptWriter(watched, speaker(run_id, 1, 1))
    said = [f"{number}" for number in range(10_000)]
    async with beside(writer.run()):
        for content in said:
            emit(writer, content)
            await writer.ready()
            if int(content) % 100 == 99:
                await asyncio.sleep(0)  # as an agent's output comes in chunks
        await writer.flush()

    assert await contents(log, run_id) == said
    sizes = [len(batch) for batch in watched.batches]
    assert max(sizes) == BATCH_EVENTS
    assert len(sizes) < 200
    assert (await log.fence(run_id)).number == len(said)


async def test_a_batch_is_bounded_in_bytes_but_takes_an_event_of_any_size(log: Log) -> None:
    watched, run_id = WatchedLog(log), new_run_id()
    writer = AttemptWriter(watched, speaker(run_id, 1, 1))
    said = ["a", "b" * (2 * BATCH_BYTES), *["c" * (BATCH_BYTES // 3)] * 4]
    emit(writer, *said)
    writer.close()
    await writer.run()

    assert await contents(log, run_id) == said
    assert [len(batch) for batch in watched.batches] == [1, 1, 2, 2]
    assert all(len(batch) == 1 or sum(batch) <= BATCH_BYTES for batch in watched.batches)


async def test_a_full_writer_makes_its_owner_wait_until_there_is_room(log: Log) -> None:
    run_id = new_run_id()
    writer = AttemptWriter(log, speaker(run_id, 1, 1))
    said = ["x" * (1 << 20)] * 9
    emit(writer, *said)
    assert sum(map(len, said)) > ROOM_BYTES
    waiting = asyncio.create_task(writer.ready())
    await asyncio.sleep(0)
    assert not waiting.done()

    async with beside(writer.run()):
        await asyncio.wait_for(waiting, PATIENCE_SECONDS)
        await writer.flush()
        await asyncio.wait_for(writer.ready(), PATIENCE_SECONDS)

    assert await contents(log, run_id) == said


async def test_close_lets_run_return_once_everything_is_sent(log: Log) -> None:
    run_id = new_run_id()
    writer = AttemptWriter(log, speaker(run_id, 1, 1))
    idle = AttemptWriter(log, speaker(run_id, 1, 1))
    idle.close()
    await asyncio.wait_for(idle.run(), PATIENCE_SECONDS)

    emit(writer, *"abc")
    work = asyncio.create_task(writer.run())
    emit(writer, *"de")
    writer.close()
    await asyncio.wait_for(work, PATIENCE_SECONDS)

    assert await contents(log, run_id) == list("abcde")
    await asyncio.wait_for(writer.flush(), PATIENCE_SECONDS)


async def test_flush_waits_for_what_was_emitted_before_it(log: Log) -> None:
    run_id = new_run_id()
    writer = AttemptWriter(log, speaker(run_id, 1, 1))
    async with beside(writer.run()):
        await asyncio.wait_for(writer.flush(), PATIENCE_SECONDS)  # nothing to wait for
        emit(writer, *"abc")
        await writer.flush()
        assert await contents(log, run_id) == list("abc")
        emit(writer, "d")
        await asyncio.gather(writer.flush(), writer.flush())
        assert await contents(log, run_id) == list("abcd")


async def test_replies_that_are_lost_double_nothing(redis_server: RedisServer, log: Log) -> None:
    run_id = new_run_id()
    said = [f"{number}" for number in range(200)]
    async with proxy_to(redis_server.port) as proxy, connected(proxy.url) as redis:
        writer = AttemptWriter(Log(redis), speaker(run_id, 1, 1))
        async with beside(writer.run()):
            emit(writer, "first")
            await writer.flush()
            for start in range(0, len(said), 20):
                # Few enough for the client's own tries now and then, too many for them at other times.
                proxy.cut(b"EVALSHA", start // 20 % 6)
                emit(writer, *said[start : start + 20])
                await asyncio.wait_for(writer.flush(), PATIENCE_SECONDS)

    assert await contents(log, run_id) == ["first", *said]


async def test_a_redis_that_forgets_the_script_again_and_again_is_told_it_again(
    redis_server: RedisServer, log: Log
) -> None:
    """As one does that restarts in the wrong moments."""
    run_id = new_run_id()

    async def forget(_request: bytes, reply: bytes) -> bytes:
        await log.redis.script_flush()
        return reply

    async with proxy_to(redis_server.port) as proxy, connected(proxy.url) as redis:
        proxy.on_reply = forget
        writer = AttemptWriter(Log(redis), speaker(run_id, 1, 1))
        emit(writer, *"abc")
        writer.close()
        await writer.run()

    assert await contents(log, run_id) == list("abc")


async def test_nothing_is_lost_or_doubled_when_redis_is_killed_mid_flood(redis_server: RedisServer, log: Log) -> None:
    run_id = new_run_id()
    writer = AttemptWriter(log, speaker(run_id, 1, 1))
    said = 0

    def retries() -> float:
        return own().value("cody_append_retries_total")

    async def flood() -> None:
        nonlocal said
        while True:
            emit(writer, f"{said}")
            said += 1
            await writer.ready()
            if said % 20 == 0:
                await asyncio.sleep(0.001)  # no outage here fills the writer

    async with beside(writer.run()):
        async with beside(flood()):
            for _ in range(2):
                before = said
                await until(lambda before=before: said > before + 500)
                async with redis_server.killed():
                    before, tried = said, retries()
                    await until(lambda before=before, tried=tried: said > before + 500 and retries() > tried)
        await asyncio.wait_for(writer.flush(), PATIENCE_SECONDS)

    assert await contents(log, run_id) == [f"{number}" for number in range(said)]


@pytest.mark.parametrize(
    ("types", "attempt", "outcome"),
    [(["turn_started"], 2, "fenced"), (["turn_failed"], 1, "ended"), (["turn_failed", "run_failed"], 1, "terminal")],
)
async def test_owner_and_waiters_notice_when_the_log_refuses_the_attempt(
    log: Log, types: list[str], attempt: int, outcome: str
) -> None:
    run_id = new_run_id()
    writer = AttemptWriter(log, speaker(run_id, 1, 1))
    work = asyncio.create_task(writer.run())
    emit(writer, "mine")
    await writer.flush()
    who, first = speaker(run_id, 1, attempt), 2 if attempt == 1 else 1
    await log.append(run_id, who.epoch, first, events(who, first, types[:1]))
    if types[1:]:
        await log.append(run_id, 0, 1, events(speaker(run_id), 1, types[1:]))
    before, refusals = [entry.cursor for entry in await whole(log, run_id)], own().by("cody_appends_total", "outcome")

    emit(writer, "swallowed" if attempt == 1 else "too late", "too late")
    flush = asyncio.create_task(writer.flush())
    done, _ = await asyncio.wait({work, flush}, timeout=PATIENCE_SECONDS)

    assert done == {work, flush}
    for task in done:
        with pytest.raises(Fenced, match=f"{run_id} turn 1 attempt 1: {outcome}") as refused:
            task.result()
        assert refused.value.outcome == outcome
    assert [entry.cursor for entry in await whole(log, run_id)] == before
    assert own().value("cody_appends_total", outcome=outcome) == refusals[outcome] + 1


async def test_two_attempts_at_once_and_then_a_third(log: Log) -> None:
    """Real clients at the same time: the older writers fail, the newest one's whole word is in the log."""
    run_id = new_run_id()
    writers = [AttemptWriter(log, speaker(run_id, 1, attempt)) for attempt in (1, 2, 3)]

    async def live(writer: AttemptWriter, start_after: int) -> None:
        await until(lambda: _has(log, run_id, start_after))
        for number in range(1000):
            emit(writer, f"{number}")
            if number % 10 == 0:
                await asyncio.sleep(0)
        writer.emit("turn_aborted_by_user", AT, aborted())
        writer.close()

    async def write(writer: AttemptWriter, start_after: int) -> None:
        await asyncio.gather(writer.run(), live(writer, start_after))

    done = await asyncio.gather(*(write(writer, 100 * n) for n, writer in enumerate(writers)), return_exceptions=True)

    entries = await whole(log, run_id)
    assert_lawful(entries)
    assert done[2] is None
    assert all(error is None or isinstance(error, Fenced) for error in done[:2])
    assert [place(entry) for entry in entries][-1001:] == [(1, 3, number) for number in range(1, 1002)]


async def _has(log: Log, run_id: str, count: int) -> bool:
    return (await log.fence(run_id)).seq >= count


async def test_another_run_is_another_log(log: Log) -> None:
    here, there = new_run_id(), new_run_id()
    await say(log, here, 1, "turn_started", "turn_completed")
    await say(log, there, 1, "turn_started")

    assert [entry.seq for entry in await whole(log, there)] == [1]
    assert (await log.fence(there)).ended == 0

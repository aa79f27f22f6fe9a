"""What the run writes itself: its own events, and the end of an attempt whose worker is gone, or believed to be."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from activities.beside import beside
from cody.contract.payloads import ResponseDone, RunChanged
from cody.stream.ends import Said, append_lifecycle, append_next, end_attempt
from cody.stream.log import Fence, Log
from cody.stream.writer import AttemptWriter, Fenced
from tests.integration.stream.stream_proxy import proxy_to
from tests.integration.stream.stream_stage import (
    AT,
    TRACE,
    aborted,
    assert_lawful,
    events,
    place,
    say,
    speaker,
    text,
    whole,
)
from tests.parts import PATIENCE_SECONDS, RedisServer, connected, new_run_id, until

LAST_WORDS = ["response_done", "turn_aborted_by_user"]


def last_words(turn: int, _attempt: int) -> list[Said]:
    done = ResponseDone(response_id=f"resp_{turn}", status="aborted", finish_reason="aborted")
    return [("response_done", AT, done), ("turn_aborted_by_user", AT, aborted(turn))]


def changed(*types: str) -> list[Said]:
    return [(type_, AT, RunChanged()) for type_ in types]


async def types(log: Log, run_id: str) -> list[str]:
    """The types in a log that keeps the law."""
    entries = await whole(log, run_id)
    assert_lawful(entries)
    return [entry.type for entry in entries]


class OvertakenLog(Log):
    """A log where something happens each time between a look at the books and what is done about them."""

    def __init__(self, log: Log, happens: Callable[[], Awaitable[object]]) -> None:
        super().__init__(log.redis)
        self._happens = happens

    async def fence(self, run_id: str) -> Fence:
        fence = await super().fence(run_id)
        await self._happens()
        return fence


async def test_the_end_is_written_in_the_attempts_name(log: Log) -> None:
    run_id = new_run_id()
    await say(log, run_id, 1, "turn_started", "response_start", turn=2, attempt=3)

    assert await end_attempt(log, run_id, TRACE, 2, last_words) == (2, 3)

    assert await types(log, run_id) == ["turn_started", "response_start", *LAST_WORDS]
    assert place((await whole(log, run_id))[-1]) == (2, 3, 4)
    assert await end_attempt(log, run_id, TRACE, 2, last_words) == (2, 3)
    assert len(await whole(log, run_id)) == 4


async def test_only_an_attempt_that_began_and_has_no_end_is_ended(log: Log) -> None:
    silent, other, over = new_run_id(), new_run_id(), new_run_id()
    await say(log, other, 1, "turn_started")
    await say(log, over, 1, "turn_started")
    await log.append(over, 0, 1, events(speaker(over), 1, ["run_failed"]))

    assert await end_attempt(log, silent, TRACE, None, last_words) == (0, 0)
    assert await end_attempt(log, silent, TRACE, 1, last_words) == (0, 0)
    assert await end_attempt(log, other, TRACE, 2, last_words) == (1, 1)
    assert await end_attempt(log, over, TRACE, 1, last_words) == (1, 1)

    assert [await types(log, run_id) for run_id in (silent, other)] == [[], ["turn_started"]]
    assert await end_attempt(log, other, TRACE, None, last_words) == (1, 1)
    assert await types(log, other) == ["turn_started", *LAST_WORDS]


@pytest.mark.parametrize("many", [1, 2, 3])
async def test_a_zombie_that_writes_in_between_does_not_tear_the_end_apart(log: Log, many: int) -> None:
    run_id = new_run_id()
    await say(log, run_id, 1, "turn_started")
    left = [2, 2 + many]

    async def zombie() -> None:
        if left:
            await say(log, run_id, left.pop(0), *["item_delta"] * many)

    await end_attempt(OvertakenLog(log, zombie), run_id, TRACE, 1, last_words)

    assert await types(log, run_id) == ["turn_started", *["item_delta"] * (2 * many), *LAST_WORDS]


async def test_a_zombie_that_ends_its_attempt_in_between_has_the_last_word(log: Log) -> None:
    run_id = new_run_id()
    await say(log, run_id, 1, "turn_started")

    async def zombie() -> None:
        if (await log.after(run_id, 0))[-1].type != "turn_completed":
            await say(log, run_id, 2, "turn_completed")

    assert await end_attempt(OvertakenLog(log, zombie), run_id, TRACE, 1, last_words) == (1, 1)

    assert await types(log, run_id) == ["turn_started", "turn_completed"]


async def test_many_enders_and_a_zombie_in_full_flood_write_one_end(redis_server: RedisServer, log: Log) -> None:
    for _ in range(5):
        run_id = new_run_id()
        writer = AttemptWriter(log, speaker(run_id, 1, 1))

        async def flood(writer: AttemptWriter = writer) -> None:
            while True:
                writer.emit("item_delta", AT, text("x"))
                await asyncio.sleep(0)

        async with connected(redis_server.url) as other, beside(flood()):
            zombie = asyncio.create_task(writer.run())
            await until(lambda run_id=run_id: log.last(run_id))
            enders = [end_attempt(each, run_id, TRACE, 1, last_words) for each in (log, Log(other)) * 3]
            assert set(await asyncio.gather(*enders)) == {(1, 1)}
            with pytest.raises(Fenced):
                await asyncio.wait_for(zombie, PATIENCE_SECONDS)

        said = await types(log, run_id)
        assert said[-2:] == LAST_WORDS
        assert set(said[:-2]) == {"item_delta"}


async def test_an_end_whose_reply_was_lost_is_written_once(redis_server: RedisServer, log: Log) -> None:
    run_id = new_run_id()
    await say(log, run_id, 1, "turn_started")
    async with proxy_to(redis_server.port) as proxy, connected(proxy.url) as redis:
        await redis.ping()
        proxy.cut(b"EVALSHA", 2)
        assert await end_attempt(Log(redis), run_id, TRACE, 1, last_words) == (1, 1)

    assert await types(log, run_id) == ["turn_started", *LAST_WORDS]


async def test_lifecycle_events_are_appended_once_however_often_they_are_told(log: Log) -> None:
    run_id = new_run_id()
    run = speaker(run_id)
    await append_lifecycle(log, run, 1, changed("run_queued", "run_started"))
    await append_lifecycle(log, run, 1, changed("run_queued", "run_started"))
    await append_lifecycle(log, run, 2, changed("run_started", "run_pausing", "run_paused"))
    await asyncio.gather(*(append_lifecycle(log, run, 5, changed("run_resumed")) for _ in range(5)))
    await append_lifecycle(log, run, 6, changed("run_cancelled"))
    await append_lifecycle(log, run, 6, changed("run_cancelled"))

    assert await types(log, run_id) == [
        "run_queued", "run_started", "run_pausing", "run_paused", "run_resumed", "run_cancelled",
    ]  # fmt: skip


async def test_lifecycle_events_are_refused_aloud_after_the_end_and_after_a_hole(log: Log) -> None:
    run_id = new_run_id()
    with pytest.raises(RuntimeError, match=r"refused.*run_started.*hole"):
        await append_lifecycle(log, speaker(run_id), 2, changed("run_started"))
    await append_lifecycle(log, speaker(run_id), 1, changed("run_failed"))
    with pytest.raises(RuntimeError, match=r"refused.*run_paused.*terminal"):
        await append_lifecycle(log, speaker(run_id), 2, changed("run_paused"))

    assert await types(log, run_id) == ["run_failed"]


async def test_the_next_lifecycle_event_finds_its_own_number(log: Log) -> None:
    run_id = new_run_id()
    run = speaker(run_id)
    (queued, warned, failed) = changed("run_queued", "run_started", "run_failed")

    await append_next(log, run, queued)
    await say(log, run_id, 1, "turn_completed")
    await append_next(log, run, warned)
    await asyncio.gather(*(append_next(log, run, failed) for _ in range(5)))
    await append_next(log, run, warned)

    assert await types(log, run_id) == ["run_queued", "turn_completed", "run_started", "run_failed"]
    assert [place(entry)[2] for entry in await whole(log, run_id) if entry.type != "turn_completed"] == [1, 2, 3]


async def test_a_workflow_that_still_writes_makes_the_next_event_try_again(log: Log) -> None:
    run_id = new_run_id()
    left = ["run_queued", "run_started"]

    async def workflow() -> None:
        if left:
            await append_lifecycle(log, speaker(run_id), 3 - len(left), changed(left.pop(0)))

    await append_next(OvertakenLog(log, workflow), speaker(run_id), changed("run_failed")[0])

    assert await types(log, run_id) == ["run_queued", "run_started", "run_failed"]

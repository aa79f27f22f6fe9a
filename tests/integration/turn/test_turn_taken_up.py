"""What a later attempt at a turn finds: an earlier one that did the turn, on a worker that is lost, or only frozen."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from cody.archive.healing import HealingLog
from cody.contract.tasks import KeptReport
from cody.store import Store
from cody.stream.log import Fence, Log
from tests.integration.stream.stream_stage import say, told, whole
from tests.integration.turn.turn_stage import Turns, taking
from tests.parts import RedisServer


@pytest.fixture
async def turns(store: Store, log: Log, redis_server: RedisServer, tmp_path: Path) -> AsyncGenerator[Turns]:
    async with taking(store, log, redis_server, tmp_path) as turns:
        yield turns


async def test_a_turn_that_was_done_is_not_done_again_though_its_end_was_not_written(turns: Turns):
    await say(turns.log, turns.run_id, 1, "turn_started", "response_start")
    await turns.done_by(1)
    report = await turns.take(2)
    assert (report.attempt, report.outcome, turns.worked) == (1, "completed", 0)
    assert await turns.types() == ["turn_started", "response_start", "response_done", "turn_completed"]


async def test_it_is_not_done_again_though_its_worker_wakes_and_writes_the_end_itself(turns: Turns):
    await say(turns.log, turns.run_id, 1, "turn_started", "response_start", "response_done", "turn_completed")
    await turns.done_by(1)
    assert (await turns.take(2)).attempt == 1
    assert (await turns.types()).count("turn_completed") == 1


async def test_an_attempt_that_began_meanwhile_is_not_left_without_its_end(turns: Turns):
    await say(turns.log, turns.run_id, 1, "turn_started", "response_start")
    await turns.done_by(1)
    await say(turns.log, turns.run_id, 1, "turn_started", attempt=2)
    report = await turns.take(3)
    assert (report.attempt, report.outcome, turns.worked) == (3, "completed", 1)
    assert (await turns.types())[-1] == "turn_completed"


async def test_the_agent_of_a_turn_that_is_done_meanwhile_does_not_work(turns: Turns):
    """The older attempt wakes between the newer one's look at what there is and its beginning."""

    class Waking(Log):
        async def fence(self, run_id: str) -> Fence:
            found = await super().fence(run_id)
            if found.epoch and not found.ended:
                await turns.done_by(1)
                await say(turns.log, turns.run_id, 2, "response_start", "response_done", "turn_completed")
                found = await super().fence(run_id)
            return found

    await say(turns.log, turns.run_id, 1, "turn_started")
    turns.reads(Waking(turns.log.redis))
    report = await turns.take(2)
    assert (report.attempt, report.outcome, turns.worked) == (1, "completed", 0)
    assert (await turns.types()).count("turn_completed") == 1


async def test_an_attempt_that_was_not_done_is_taken_up_anew(turns: Turns):
    await say(turns.log, turns.run_id, 1, "turn_started", "response_start")
    assert (await turns.take(2)).attempt == 2
    assert turns.worked == 1


async def test_what_a_turn_said_first_and_last_is_kept_with_its_report(turns: Turns):
    turns.reads(HealingLog(turns.log.redis, turns.store))
    await turns.take(1)
    kept = await turns.store.turns.report(turns.run_id, 1)
    assert kept is not None
    report = KeptReport.model_validate_json(kept)
    in_log = {entry.type: entry for entry in await whole(turns.log, turns.run_id)}
    assert [word.type for word in report.opening] == ["turn_started", "response_start"]
    assert [word.type for word in report.words] == ["response_done", "turn_completed"]
    for first in report.opening:
        assert (first.seq, first.event.encode()) == (in_log[first.type].seq, in_log[first.type].event)
    for last in report.words:
        assert last.payload == told(in_log[last.type])["payload"]

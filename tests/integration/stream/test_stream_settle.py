"""An attempt that did its turn is settled once: by itself or by a later one, and never over one that has begun."""

import asyncio

from cody.contract.payloads import ResponseDone, TurnCompleted
from cody.stream.ends import Said, finish_attempt
from cody.stream.log import Log
from tests.integration.stream.stream_stage import AT, assert_lawful, events, say, speaker, whole
from tests.parts import new_run_id

WORDS: list[Said] = [
    ("response_done", AT, ResponseDone(response_id="resp_1", status="complete", finish_reason="stop")),
    ("turn_completed", AT, TurnCompleted(should_continue=False)),
]


async def test_last_words_are_said_for_an_attempt_that_cannot(log: Log):
    run_id = new_run_id()
    await say(log, run_id, 1, "turn_started", "item_delta")
    assert await finish_attempt(log, speaker(run_id, 1, 1), WORDS)
    assert await finish_attempt(log, speaker(run_id, 1, 1), WORDS)
    entries = await whole(log, run_id)
    assert_lawful(entries)
    assert [entry.type for entry in entries] == ["turn_started", "item_delta", "response_done", "turn_completed"]


async def test_two_that_say_them_at_once_say_them_once(log: Log):
    run_id = new_run_id()
    await say(log, run_id, 1, "turn_started")
    done = await asyncio.gather(*(finish_attempt(log, speaker(run_id, 1, 1), WORDS) for _ in range(20)))
    assert all(done)
    assert [entry.type for entry in await whole(log, run_id)] == ["turn_started", "response_done", "turn_completed"]


async def test_nothing_is_said_for_an_attempt_that_a_newer_one_has_superseded(log: Log):
    run_id = new_run_id()
    await say(log, run_id, 1, "turn_started")
    await say(log, run_id, 1, "turn_started", attempt=2)
    assert not await finish_attempt(log, speaker(run_id, 1, 1), WORDS)


async def test_an_attempt_that_was_ended_as_lost_has_not_done_its_turn(log: Log):
    run_id = new_run_id()
    await say(log, run_id, 1, "turn_started", "turn_failed")
    assert not await finish_attempt(log, speaker(run_id, 1, 1), WORDS)


async def test_nothing_is_said_after_the_end_of_the_run(log: Log):
    run_id = new_run_id()
    assert (await log.append(run_id, 0, 1, events(speaker(run_id), 1, ["run_failed"]))).outcome == "ok"
    assert not await finish_attempt(log, speaker(run_id, 1, 1), WORDS)


async def test_what_is_settled_cannot_be_begun_anew(log: Log):
    run_id = new_run_id()
    await say(log, run_id, 1, "turn_started", "turn_completed")
    assert await log.settle(run_id, 1001, 1003)
    frozen = speaker(run_id, 1, 2)
    assert (await log.append(run_id, frozen.epoch, 1, events(frozen, 1, ["turn_started"]))).outcome == "ended"


async def test_an_attempt_that_has_begun_is_not_settled_over(log: Log):
    run_id = new_run_id()
    await say(log, run_id, 1, "turn_started", "turn_failed")
    await say(log, run_id, 1, "turn_started", attempt=2)
    assert not await log.settle(run_id, 1001, 1003)
    await say(log, run_id, 2, "item_delta", attempt=2)


async def test_a_turn_that_is_done_is_not_begun_again(log: Log):
    run_id = new_run_id()
    await say(log, run_id, 1, "turn_started", "turn_completed")
    late = speaker(run_id, 1, 2)
    assert (await log.append(run_id, late.epoch, 1, events(late, 1, ["turn_started"]))).outcome == "ended"
    await say(log, run_id, 1, "turn_started", turn=2)


async def test_an_attempt_without_its_end_is_not_settled(log: Log):
    run_id = new_run_id()
    await say(log, run_id, 1, "turn_started")
    assert not await log.settle(run_id, 1001, 1002)

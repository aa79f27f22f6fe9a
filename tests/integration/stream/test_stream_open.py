"""The run's end waits for the end of the newest attempt, whoever begins one at the last moment."""

import pytest

from cody.stream.ends import AttemptOpen, append_lifecycle, append_next
from cody.stream.log import Log
from tests.integration.stream.stream_stage import AT, assert_lawful, events, say, speaker, text, whole
from tests.parts import new_run_id


async def test_the_end_of_the_run_is_refused_while_the_newest_attempt_has_none(log: Log) -> None:
    run_id = new_run_id()
    await say(log, run_id, 1, "turn_started", "turn_failed")
    await say(log, run_id, 1, "turn_started", attempt=2)
    end = events(speaker(run_id), 1, ["run_failed"])
    refused = await log.append(run_id, 0, 1, end)
    assert (refused.outcome, refused.count) == ("open", 0)
    await say(log, run_id, 2, "turn_failed", attempt=2)
    assert (await log.append(run_id, 0, 1, end)).outcome == "ok"
    assert_lawful(await whole(log, run_id))


async def test_a_batch_that_ends_the_run_is_refused_as_a_whole(log: Log) -> None:
    run_id = new_run_id()
    await say(log, run_id, 1, "turn_started")
    refused = await log.append(run_id, 0, 1, events(speaker(run_id), 1, ["run_cancelling", "run_cancelled"]))
    assert (refused.outcome, refused.count) == ("open", 0)
    assert (await log.append(run_id, 0, 1, events(speaker(run_id), 1, ["run_cancelling"]))).outcome == "ok"


async def test_whoever_writes_the_end_is_told_that_it_has_to_wait(log: Log) -> None:
    run_id = new_run_id()
    await say(log, run_id, 1, "turn_started")
    with pytest.raises(AttemptOpen):
        await append_lifecycle(log, speaker(run_id), 1, [("run_failed", AT, text("end"))])
    with pytest.raises(AttemptOpen):
        await append_next(log, speaker(run_id), ("run_failed", AT, text("end")))


async def test_an_end_that_is_there_already_is_skipped_as_ever(log: Log) -> None:
    run_id = new_run_id()
    end = events(speaker(run_id), 1, ["run_completed"])
    assert (await log.append(run_id, 0, 1, end)).count == 1
    again = await log.append(run_id, 0, 1, end)
    assert (again.outcome, again.count) == ("ok", 0)

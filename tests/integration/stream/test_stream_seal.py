"""A settled attempt writes no more, though it never wrote before."""

from cody.stream.log import Log
from tests.integration.stream.stream_stage import events, say, speaker, told, whole
from tests.parts import new_run_id


async def test_a_sealed_attempt_cannot_begin_and_a_newer_one_can(log: Log):
    run_id = new_run_id()
    await say(log, run_id, 1, "turn_started", "turn_failed")
    await log.seal(run_id, 1002)
    await log.seal(run_id, 1001)  # a seal is never taken back
    zombie = speaker(run_id, 1, 2)
    refused = await log.append(run_id, zombie.epoch, 1, events(zombie, 1, ["turn_started"]))
    assert (refused.outcome, refused.count) == ("ended", 0)
    await say(log, run_id, 1, "turn_started", turn=1, attempt=3)
    assert [entry.epoch for entry in await whole(log, run_id)] == [1001, 1001, 1003]


async def test_the_end_of_a_sealed_attempt_is_written_in_its_name(log: Log):
    run_id = new_run_id()
    await say(log, run_id, 1, "turn_started")
    await log.seal(run_id, 1001)
    who = speaker(run_id, 1, 1)
    assert (await log.append(run_id, 1001, 2, events(who, 2, ["item_delta"]))).outcome == "ended"
    done = await log.append(run_id, 1001, 2, events(who, 2, ["turn_aborted_by_user"]), whole=True)
    assert (done.outcome, done.count) == ("ok", 1)


async def test_the_run_speaks_on_over_a_seal(log: Log):
    run_id = new_run_id()
    await log.seal(run_id, 1001)
    assert (await log.append(run_id, 0, 1, events(speaker(run_id), 1, ["run_cancelled"]))).outcome == "ok"
    assert [told(entry)["type"] for entry in await whole(log, run_id)] == ["run_cancelled"]

"""A log that Redis loses is what it was, or says what is gone; no SEQ is ever given twice."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from cody.archive.archivist import Archivist, Retention
from cody.archive.healing import Healer, HealingPatience
from cody.contract.errors import WORKER_LOST
from cody.contract.events import parse
from cody.contract.payloads import LogGap, TurnFailed
from cody.store import FIRST_LEASE, Store
from cody.stream.follower import Follower
from cody.stream.hub import Hub
from cody.stream.keys import salvage_key
from cody.stream.log import Log
from cody.stream.mending import Mending
from tests.figures import own
from tests.integration.archive.healing_stage import Stage, staged
from tests.integration.store.store_stage import a_run, begin
from tests.integration.stream.stream_stage import assert_lawful, whole
from tests.parts import connected, until

PATIENT = HealingPatience(lossy_seconds=60, unsure_seconds=60)


@pytest.fixture
async def stage(store: Store, tmp_path: Path) -> AsyncGenerator[Stage]:
    async with staged(store, tmp_path) as made:
        yield made


async def test_a_living_writer_gives_back_all_that_it_said(stage: Stage):
    log = stage.worker(PATIENT)
    await stage.record(log, "run_started")
    await stage.claim()
    await stage.say(log, "turn_started", *["item_delta"] * 30)
    before, healed = await stage.read(), own().by("cody_log_heals_total", "outcome")
    await stage.lose_all()

    done = await stage.say(log, "item_delta")

    assert (done.outcome, done.seq) == ("ok", len(before) + 1)
    assert (await stage.read())[:-1] == before
    assert_lawful(await whole(log, stage.run_id))
    assert own().by("cody_log_heals_total", "outcome") == {"whole": healed["whole"] + 1, "gap": healed["gap"]}


async def test_what_was_rolled_back_comes_back_at_its_place(stage: Stage):
    log = stage.worker(PATIENT)
    await stage.record(log, "run_started")
    await stage.claim()
    await stage.say(log, "turn_started", "item_delta")
    photograph = await stage.photograph()
    await stage.say(log, *["item_delta"] * 5)
    await stage.record(log, "run_pausing", "pausing")
    await stage.say(log, "item_delta", "turn_completed")
    before = await stage.read()
    await stage.roll_back(photograph)

    await stage.record(log, "run_paused", "paused")

    assert (await stage.read())[:-1] == before
    assert_lawful(await whole(log, stage.run_id))


async def test_two_workers_put_together_what_each_of_them_said(stage: Stage):
    one, other = stage.worker(PATIENT), stage.worker(PATIENT)
    await stage.record(one, "run_started")
    await stage.claim()
    await stage.say(one, "turn_started", "item_delta", "turn_completed")
    await stage.claim(turn=2)
    await stage.say(other, "turn_started", "item_delta", turn=2)
    before = await stage.read()
    await stage.lose_all()

    healing = asyncio.create_task(stage.say(other, "item_delta", turn=2))
    await one.heal(stage.run_id)
    await healing

    assert (await stage.read())[:-1] == before


async def test_what_is_archived_stays_where_it_is(stage: Stage):
    log = stage.worker(PATIENT)
    await stage.record(log, "run_started")
    await stage.claim()
    await stage.say(log, "turn_started", *["item_delta"] * 20, "turn_completed")
    await stage.record(log, "run_completed", "completed")
    before = await stage.read()
    await Archivist(stage.store, Log(stage.redis), Retention(young_seconds=10**6, gather_events=1)).round()
    await stage.lose_all()

    fence = await stage.worker().fence(stage.run_id)

    assert (fence.seq, fence.epoch, fence.number, fence.ended, fence.lifecycle, fence.terminal) == (
        *(24, 1001, 22, 1001, 2, 1),
    )
    assert await stage.read() == before
    assert (await stage.say(log, "item_delta")).outcome == "terminal"


async def test_the_end_of_a_run_is_written_again_from_the_store(stage: Stage):
    log = stage.worker()
    await stage.record(log, "run_started")
    photograph = await stage.photograph()
    await stage.record(log, "run_completed", "completed")
    before = await stage.read()
    await stage.roll_back(photograph)

    await stage.worker().heal(stage.run_id)

    assert await stage.read() == before


async def test_a_word_that_a_reader_has_seen_comes_back_at_its_place_though_its_worker_died(stage: Stage):
    log = stage.worker()
    await stage.record(log, "run_started")
    await stage.claim()
    await stage.say(log, "turn_started", "turn_completed")
    photograph = await stage.photograph()
    await stage.record(log, "run_paused", "paused")
    before = await stage.read()
    await stage.roll_back(photograph)
    await log.saw(stage.run_id, len(before))

    await stage.worker().heal(stage.run_id)

    assert await stage.read() == before


async def test_first_words_that_are_said_again_do_not_begin_a_lost_log_anew(stage: Stage):
    log = stage.worker()
    await stage.record(log, "run_started")
    await stage.claim()
    await stage.say(log, "turn_started", *["item_delta"] * 30)
    await stage.lose_all()

    await stage.say_again(stage.worker(), "run_started")

    found = await whole(log, stage.run_id)
    assert found[0].type == "log_gap"
    assert found[0].seq > 31


async def test_what_died_with_its_writer_is_named_and_its_seqs_are_not_used_again(stage: Stage):
    log = stage.worker()
    await stage.record(log, "run_started")
    await stage.claim()
    await stage.say(log, "turn_started", *["item_delta"] * 30)
    await stage.lose_all()
    healed = own().by("cody_log_heals_total", "outcome")

    other = stage.worker()
    await stage.claim(attempt=2)
    await stage.say(other, "turn_started", attempt=2)

    assert own().by("cody_log_heals_total", "outcome") == {"whole": healed["whole"], "gap": healed["gap"] + 1}
    entries = await whole(other, stage.run_id)
    gap, *rest = entries
    payload = parse(gap.type, gap.event).payload
    assert isinstance(payload, LogGap)
    assert (payload.from_, payload.to, gap.seq) == (1, FIRST_LEASE, FIRST_LEASE + 1)
    assert [entry.type for entry in rest] == ["run_started", "turn_started"]
    assert [entry.seq for entry in rest] == [gap.seq + 1, gap.seq + 2]
    assert (await stage.say(log, "item_delta")).outcome == "fenced"


async def test_an_attempt_that_has_not_written_yet_is_not_taken_for_lost(stage: Stage):
    log = stage.worker()
    await stage.record(log, "run_started")
    await stage.claim()
    log.begins(stage.run_id, 1001)
    await stage.claim(attempt=2)
    log.begins(stage.run_id, 1002)
    await stage.lose_all()

    await stage.say(log, "turn_started", attempt=2)

    assert [(entry.seq, entry.type) for entry in await whole(log, stage.run_id)] == [
        (1, "run_started"),
        (2, "turn_started"),
    ]


async def test_what_is_held_of_many_logs_is_brought_to_all_of_them_in_time(stage: Stage, store: Store):
    """Whoever waits in vain for what others have of some logs brings what it has of the rest meanwhile."""
    here, dead = (stage.worker(HealingPatience(lossy_seconds=8)) for _ in range(2))
    there = stage.worker(HealingPatience(lossy_seconds=36))
    lossy = [Stage(store, stage.server, stage.redis, await begin(store, a_run(), "queued")) for _ in range(80)]
    for one in lossy:
        await one.record(here, "run_started")
        await one.claim()
        await one.say(dead, "turn_started")
    await stage.record(here, "run_started")
    await stage.claim()
    await stage.say(here, "turn_started")
    before = await stage.read()
    await stage.lose_all()

    await asyncio.gather(Healer(here, store).round(), there.heal(stage.run_id))

    assert await stage.read() == before


async def test_an_attempt_that_was_lost_with_its_writer_is_ended(stage: Stage):
    await stage.record(stage.worker(), "run_started")
    await stage.claim()
    log = stage.worker()
    await stage.say(log, "turn_started", "item_delta")
    await stage.lose_all()

    await stage.worker().heal(stage.run_id)

    last = [entry for entry in await whole(log, stage.run_id) if entry.epoch == 1001 and entry.type == "turn_failed"]
    payload = parse(last[0].type, last[0].event).payload
    assert isinstance(payload, TurnFailed)
    assert payload.error.code == WORKER_LOST
    assert (await stage.say(log, "item_delta")).outcome == "ended"


async def test_a_restart_that_loses_nothing_leaves_no_trace(stage: Stage):
    log = stage.worker()
    await stage.record(log, "run_started")
    await stage.claim()
    await stage.say(log, "turn_started", "item_delta")
    before = await stage.read()
    async with stage.server.killed():
        pass

    await stage.claim(attempt=2)
    await stage.say(stage.worker(), "turn_started", attempt=2)

    assert (await stage.read())[:-1] == before
    assert_lawful(await whole(log, stage.run_id))


async def test_a_reader_s_word_is_enough_to_know_of_a_loss(stage: Stage):
    log = stage.worker()
    await stage.record(log, "run_started")
    await stage.claim()
    await stage.say(log, "turn_started")
    photograph = await stage.photograph()
    seen = (await stage.say(log, "item_delta")).seq
    await stage.roll_back(photograph)
    await log.saw(stage.run_id, seen)

    await stage.worker().heal(stage.run_id)

    entries = await whole(log, stage.run_id)
    assert [entry.seq for entry in entries[:2]] == [1, 2]
    assert entries[2].type == "log_gap"
    assert entries[2].seq > FIRST_LEASE


async def test_a_log_grows_beyond_its_first_lease(stage: Stage):
    log = stage.worker()
    await stage.record(log, "run_started")
    await stage.claim()
    for _ in range(FIRST_LEASE // 500 + 1):
        done = await stage.say(log, *["item_delta"] * 500)

    known = await stage.store.healing.known(stage.run_id)
    assert known is not None
    assert done.seq == FIRST_LEASE + 501
    assert known.reserved >= done.seq


async def test_a_follower_reads_across_the_loss_without_noticing(stage: Stage):
    log = stage.worker(PATIENT)
    async with connected(stage.server.url, blocking=True) as blocking:
        hub = Hub(stage.worker(), blocking)
        running = asyncio.create_task(hub.run())
        await stage.record(log, "run_started")
        await stage.claim()
        seqs: list[int] = []
        with hub.follow(stage.run_id, 0) as follower:

            async def has(seq: int) -> bool:
                seqs.extend(entry.seq for entry in await follower.take(0.1))
                return bool(seqs) and seqs[-1] >= seq

            await stage.say(log, "turn_started", *["item_delta"] * 9)
            await until(lambda: has(11))
            await stage.lose_all()
            await stage.say(log, *["item_delta"] * 4)
            await until(lambda: has(15))
        running.cancel()
        await asyncio.wait((running,))
    assert seqs == list(range(1, 16))


async def test_what_followers_have_seen_is_told_to_a_redis_that_comes_back(stage: Stage):
    log = stage.worker()
    async with connected(stage.server.url, blocking=True) as blocking:
        hub = Hub(stage.worker(), blocking)
        running = asyncio.create_task(hub.run())
        await stage.record(log, "run_started")
        await stage.claim()
        await stage.say(log, "turn_started")
        with hub.follow(stage.run_id, 0) as follower:
            await until(lambda: _caught_up(follower, 2))
            await stage.say(log, "item_delta")
            await until(lambda: _caught_up(follower, 3))
            await until(lambda: hub._rings[stage.run_id].last.seq == 3)  # a follower may be quicker than its hub
            async with stage.server.killed():
                pass
            await until(lambda: stage.redis.hget(salvage_key(stage.run_id), "seen"))
        running.cancel()
        await asyncio.wait((running,))
    assert (await Mending(stage.redis).salvage(stage.run_id)).seen == 3


async def _caught_up(follower: Follower, seq: int) -> bool:
    await follower.take(0.1)
    return follower.seq >= seq

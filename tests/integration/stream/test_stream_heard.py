"""What a process appends itself, its hub does not read again: each SEQ once, in order, whoever else writes."""

import asyncio
import random
from collections.abc import AsyncGenerator

import pytest

from activities.beside import beside
from cody.contract.payloads import RunChanged
from cody.stream.budget import HUB_BYTES, Budget
from cody.stream.ends import append_next
from cody.stream.entry import Entry
from cody.stream.hub import Hub
from cody.stream.hubs import hub_for
from cody.stream.log import Log
from cody.stream.ring import RING_BYTES, Ring
from cody.stream.rings import Rings
from tests.integration.stream.hub_stage import assert_saw_all, see
from tests.integration.stream.stream_stage import AT, events, speaker
from tests.parts import RedisServer, connected, new_run_id, until


def entries(first: int, last: int, epoch: int = 1001) -> list[Entry]:
    return [Entry(seq, epoch, "item_delta", b'{"seq":%d}' % seq) for seq in range(first, last + 1)]


def ring_at(seq: int) -> Ring:
    ring = Ring(RING_BYTES, Budget(HUB_BYTES))
    ring.base = 1
    ring.extend(entries(1, seq))
    return ring


def seqs(ring: Ring) -> list[int]:
    return [entry.seq for entry in ring.entries]


def test_what_follows_is_taken_and_needs_no_reading() -> None:
    ring = ring_at(3)
    assert not ring.is_heard
    ring.hear(entries(4, 6))
    assert (seqs(ring), str(ring.last), ring.is_heard) == ([1, 2, 3, 4, 5, 6], "6-1001", True)


def test_what_was_read_already_is_taken_once() -> None:
    ring = ring_at(5)
    ring.hear(entries(2, 4))
    assert (seqs(ring), ring.is_heard) == ([1, 2, 3, 4, 5], True)
    ring.hear(entries(4, 7))
    assert (seqs(ring), ring.is_heard) == ([1, 2, 3, 4, 5, 6, 7], True)


def test_where_something_is_missing_it_is_all_left_to_be_read() -> None:
    for appended in (entries(5, 6), [*entries(4, 4), *entries(6, 7)], [*entries(2, 3), *entries(5, 5)]):
        ring = ring_at(3)
        ring.hear([])
        assert ring.is_heard
        ring.hear(appended)
        assert (seqs(ring), ring.is_heard) == ([1, 2, 3], False)


def test_a_ring_that_expects_its_writer_begins_with_it() -> None:
    ring = Ring(RING_BYTES, Budget(HUB_BYTES))
    ring.expect(7, 60)
    assert (ring.reaches(6), ring.reaches(7), ring.is_heard) == (False, True, True)
    ring.hear(entries(8, 9))
    assert (seqs(ring), str(ring.last), ring.is_heard) == ([8, 9], "9-1001", True)


def test_a_ring_that_expected_another_place_has_it_all_read() -> None:
    ring = Ring(RING_BYTES, Budget(HUB_BYTES))
    ring.expect(7, 60)
    ring.hear(entries(9, 9))
    assert (seqs(ring), ring.last.seq, ring.is_heard) == ([], 7, False)


async def _say(log: Log, hub: Rings | None, run_id: str, number: int, count: int) -> None:
    """Append as an attempt, and let the hub hear of it as `HealingLog` does."""
    batch = events(speaker(run_id, 1, 1), number, ["item_delta"] * count)
    done = await log.append(run_id, 1001, number, batch)
    assert (done.outcome, done.count) == ("ok", count)
    if hub is not None:
        hub.hear(run_id, [Entry(done.seq - count + n, done.epoch, *pair) for n, pair in enumerate(batch, 1)])


@pytest.fixture(params=["redis_server", "redis_cluster"])
async def hub(request: pytest.FixtureRequest) -> AsyncGenerator[Rings]:
    """A running hub of either kind; its log is one to write to."""
    url: str = request.getfixturevalue(request.param).url
    async with connected(url) as redis:
        hub = hub_for(Log(redis), url)
        async with beside(hub.run()):
            yield hub
        await hub.aclose()


async def test_what_others_write_in_between_is_seen_at_its_place(hub: Rings) -> None:
    log = hub.log
    run_id, dice = new_run_id(), random.Random(7)
    async with asyncio.TaskGroup() as tasks:
        with hub.follow(run_id, 0) as follower:
            rounds = [(dice.randint(1, 30), dice.random(), dice.random() < 0.3) for _ in range(200)]
            total = sum(count for count, _, _ in rounds) + sum(foreign for _, _, foreign in rounds)
            seeing = tasks.create_task(see(follower, total))
            number = 1
            for count, where, foreign in rounds:
                await _say(log, hub if where < 0.9 else None, run_id, number, count)
                number += count
                if foreign:
                    await append_next(log, speaker(run_id), ("run_pausing", AT, RunChanged()))
            seen = await seeing
    await assert_saw_all(log, run_id, seen)


async def test_who_writes_after_a_writer_that_was_heard_is_seen_though_it_says_no_more(hub: Rings) -> None:
    log, run_id = hub.log, new_run_id()
    with hub.follow(run_id, 0) as follower:
        await until(lambda: hub._rings[run_id].base is not None)
        await _say(log, hub, run_id, 1, 3)
        await append_next(log, speaker(run_id), ("run_pausing", AT, RunChanged()))
        seen = await see(follower, 4)
    await assert_saw_all(log, run_id, seen)


async def test_what_is_expected_and_heard_costs_redis_no_read(redis_server: RedisServer) -> None:
    run_id = new_run_id()
    async with connected(redis_server.url) as redis, connected(redis_server.url, blocking=True) as blocking:
        hub = Hub(Log(redis), blocking, expected_seconds=60.0)
        async with beside(hub.run()):
            await redis.config_resetstat()
            with hub.expect(run_id, 0), hub.follow(run_id, 0) as follower:
                await _say(hub.log, hub, run_id, 1, 3)
                await _say(hub.log, hub, run_id, 4, 2)
                seen = await see(follower, 5)
            commands = set(await redis.info("commandstats"))
        await hub.aclose()
    assert [entry.seq for entry in seen] == [1, 2, 3, 4, 5]
    assert not commands & {"cmdstat_xread", "cmdstat_xrange", "cmdstat_xrevrange", "cmdstat_client|unblock"}


async def test_what_others_write_where_a_writer_is_expected_is_seen_at_its_place(hub: Rings) -> None:
    log = hub.log
    for foreign in ("before", "between", "after"):
        run_id = new_run_id()
        with hub.expect(run_id, 0), hub.follow(run_id, 0) as follower:
            for when in ("before", "between", "after"):
                if when == foreign:
                    await append_next(log, speaker(run_id), ("run_pausing", AT, RunChanged()))
                if when != "after":
                    await _say(log, hub, run_id, 1 if when == "before" else 3, 2)
            seen = await see(follower, 5)
        await assert_saw_all(log, run_id, seen)


async def test_a_writer_that_never_comes_does_not_hide_the_others(hub: Rings) -> None:
    log, run_id, watched = hub.log, new_run_id(), new_run_id()
    with hub.follow(watched, 0), hub.expect(run_id, 0), hub.follow(run_id, 0) as follower:
        await append_next(log, speaker(run_id), ("run_queued", AT, RunChanged()))
        seen = await see(follower, 1)
        await append_next(log, speaker(run_id), ("run_pausing", AT, RunChanged()))
        seen += await see(follower, 2)
    await assert_saw_all(log, run_id, seen)

"""A log on a cluster: its keys in one slot, its fence, and its way through moving slots and dying nodes."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cody.stream.connection import RedisGone, connect
from cody.stream.keys import fence_key, log_key, salvage_key
from cody.stream.log import Log
from cody.stream.slots import slot_of
from tests.cluster import RedisCluster, node_killed
from tests.cluster import slot_of as slot_of_run
from tests.integration.stream.stream_stage import assert_lawful, events, say, speaker, whole
from tests.parts import connected, until

RUN_IDS = st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True)


@pytest.fixture
async def log(redis_cluster: RedisCluster) -> AsyncGenerator[Log]:
    async with connected(redis_cluster.url) as redis:
        yield Log(redis)


@settings(deadline=None)
@given(run_id=RUN_IDS)
def test_all_keys_of_a_run_are_in_one_slot(redis_cluster: RedisCluster, run_id: str) -> None:
    keys = [log_key(run_id), fence_key(run_id), salvage_key(run_id)]
    slots = {redis_cluster.nodes[0].ask("CLUSTER", "KEYSLOT", key) for key in keys}
    assert slots == {slot_of(key) for key in keys}
    assert len(slots) == 1


async def test_the_fence_holds_on_every_node(redis_cluster: RedisCluster, log: Log) -> None:
    for node in redis_cluster.nodes:
        run_id = redis_cluster.run_on(node)
        await say(log, run_id, 1, "turn_started", "item_delta")
        await say(log, run_id, 1, "turn_started", attempt=2)
        zombie = await log.append(run_id, 1001, 3, events(speaker(run_id, 1, 1), 3, ["item_delta"]))
        again = await log.append(run_id, 1002, 1, events(speaker(run_id, 1, 2), 1, ["turn_started"]))
        assert (zombie.outcome, again.outcome, again.count) == ("fenced", "ok", 0)
        assert await log.seal(run_id, 1003)
        assert_lawful(await whole(log, run_id))
        assert node.ask("XLEN", log_key(run_id)) == 3
        await log.trim(run_id, 3, forget=True)
        assert not node.ask("EXISTS", log_key(run_id))


async def test_a_slot_moves_under_a_writer(redis_cluster: RedisCluster, log: Log) -> None:
    source, to, _ = redis_cluster.nodes
    run_id = redis_cluster.run_on(source)
    slot = slot_of_run(run_id)
    await say(log, run_id, 1, "item_delta")
    redis_cluster.begin_move(slot, to)
    await say(log, run_id, 2, "item_delta")  # it is still there
    redis_cluster.move_keys(slot, to, [log_key(run_id)])
    split = asyncio.create_task(say(log, run_id, 3, "item_delta"))  # TRYAGAIN: one key here, one there
    await asyncio.sleep(0)
    redis_cluster.move_keys(slot, to)
    await split
    await say(log, run_id, 4, "item_delta")  # ASK
    redis_cluster.end_move(slot, to)
    await say(log, run_id, 5, "item_delta")  # MOVED
    assert_lawful(await whole(log, run_id))
    assert to.ask("XLEN", log_key(run_id)) == 5


async def test_many_commands_at_once_while_a_slot_is_on_its_way(redis_cluster: RedisCluster, log: Log) -> None:
    source, to, _ = redis_cluster.nodes
    run_id = redis_cluster.run_on(source)
    slot = slot_of_run(run_id)
    await say(log, run_id, 1, *["item_delta"] * 20)
    redis_cluster.begin_move(slot, to)
    redis_cluster.move_keys(slot, to)
    found = await asyncio.gather(*(log.after(run_id, seq % 20) for seq in range(200)))
    assert [len(entries) for entries in found] == [20 - seq % 20 for seq in range(200)]
    redis_cluster.end_move(slot, to)
    found = await asyncio.gather(*(log.after(run_id, seq % 20) for seq in range(200)))
    assert [len(entries) for entries in found] == [20 - seq % 20 for seq in range(200)]


async def test_a_node_that_is_away_holds_up_only_its_own_runs(redis_cluster: RedisCluster, log: Log) -> None:
    dead, *others = redis_cluster.nodes
    run_id = redis_cluster.run_on(dead)
    rest = [redis_cluster.run_on(node) for node in others]
    for each in (run_id, *rest):
        await say(log, each, 1)
    await log.ping()
    async with node_killed(dead, redis_cluster):
        with pytest.raises(RedisGone):
            await say(log, run_id, 2)
        with pytest.raises(RedisGone):
            await log.ping()
        for each in rest:
            await say(log, each, 2)
    await log.ping()
    await say(log, run_id, 2)
    for each in (run_id, *rest):
        assert [entry.seq for entry in await whole(log, each)] == [1, 2]


@pytest.mark.parametrize("moving", [False, True])
async def test_a_node_that_refuses_for_now_counts_as_gone(redis_cluster: RedisCluster, log: Log, moving: bool) -> None:
    source, full, _ = redis_cluster.nodes
    run_id = redis_cluster.run_on(source if moving else full)
    slot = slot_of_run(run_id)
    await say(log, run_id, 1)
    if moving:
        redis_cluster.begin_move(slot, full)
        redis_cluster.move_keys(slot, full)
    full.ask("CONFIG", "SET", "maxmemory", 1)
    try:
        with pytest.raises(RedisGone):
            await say(log, run_id, 2)
    finally:
        full.ask("CONFIG", "SET", "maxmemory", 0)
    await say(log, run_id, 2)
    if moving:
        redis_cluster.end_move(slot, full)


async def test_a_cluster_is_found_by_any_node_that_answers(redis_cluster: RedisCluster) -> None:
    first, second, third = redis_cluster.nodes
    run_id = redis_cluster.run_on(third)
    seeds = f"redis+cluster://127.0.0.1:{first.port},127.0.0.1:{second.port}"
    async with node_killed(first, redis_cluster), connected(seeds) as redis:
        await say(Log(redis), run_id, 1)


async def test_one_redis_is_no_cluster(redis_server) -> None:
    redis = connect(f"redis+cluster://127.0.0.1:{redis_server.port}/")
    with pytest.raises(RedisGone, match=f"127.0.0.1:{redis_server.port} is no node of a cluster"):
        await Log(redis).ping()
    await redis.aclose()


async def test_a_node_that_hangs_is_gone_in_time(redis_cluster: RedisCluster, log: Log) -> None:
    frozen = redis_cluster.nodes[0]
    run_id = redis_cluster.run_on(frozen)
    await say(log, run_id, 1)
    log.redis.deadline_seconds = 0.5
    frozen.signal(19)
    try:
        with pytest.raises(RedisGone, match=r"no answer to XREVRANGE for 0\.5 s"):
            await log.last(run_id)
    finally:
        frozen.signal(18)
        log.redis.deadline_seconds = 5.0
        await asyncio.to_thread(redis_cluster.settled)
    await until(lambda: log.last(run_id))

"""One hub follows runs on every node of a cluster: each SEQ once, in order, soon, and whatever the nodes do."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest

from activities.beside import beside
from cody.stream.cluster_hub import ClusterHub
from cody.stream.connection import RedisGone
from cody.stream.hubs import hub_for
from cody.stream.log import Log
from cody.stream.writer import AttemptWriter
from tests.cluster import RedisCluster, node_killed, running_cluster, slot_of
from tests.integration.stream.hub_stage import LONG_SECONDS, assert_saw_all, flood, see
from tests.integration.stream.stream_stage import say, speaker
from tests.parts import connected, new_run_id, until


@pytest.fixture
async def log(redis_cluster: RedisCluster) -> AsyncGenerator[Log]:
    async with connected(redis_cluster.url) as redis:
        yield Log(redis)


@asynccontextmanager
async def running_hub(cluster: RedisCluster) -> AsyncGenerator[ClusterHub]:
    async with connected(cluster.url) as redis:
        hub = hub_for(Log(redis), cluster.url)
        assert isinstance(hub, ClusterHub)
        async with beside(hub.run()):
            yield hub


async def at_home(hub: ClusterHub, run_id: str) -> None:
    """Wait until the hub has read the run at its node, which tracks it from then on."""
    await until(lambda: hub.place(run_id) is not None and run_id in hub._homes)
    await until(lambda: not any(reader._due or reader._asked for reader in hub._readers.values()))


async def flood_run(log: Log, run_id: str, count: int) -> None:
    writer = AttemptWriter(log, speaker(run_id, 1, 1))
    async with beside(writer.run()):
        await flood(writer, count)


async def test_one_hub_follows_runs_on_every_node(redis_cluster: RedisCluster, log: Log) -> None:
    runs, total = [redis_cluster.run_on(node) for node in redis_cluster.nodes for _ in range(3)], 1500

    async def join(hub: ClusterHub, run_id: str, at: int) -> None:
        await until(lambda: log.at(run_id, at))
        with hub.follow(run_id, at // 2) as follower:
            await assert_saw_all(log, run_id, await see(follower, total), at // 2)

    async with running_hub(redis_cluster) as hub:
        with ExitStack() as stack:
            followers = [stack.enter_context(hub.follow(run_id, 0)) for run_id in runs]
            watching = asyncio.gather(*(see(follower, total) for follower in followers))
            joining = asyncio.gather(*(join(hub, run_id, at) for run_id in runs for at in (1, 400, 1400)))
            await asyncio.gather(*(flood_run(log, run_id, total) for run_id in runs))
            for run_id, seen in zip(runs, await watching, strict=True):
                await assert_saw_all(log, run_id, seen)
            await joining
        assert hub.watched == {}


async def test_single_events_come_one_by_one(redis_cluster: RedisCluster, log: Log) -> None:
    run_id = new_run_id()
    async with running_hub(redis_cluster) as hub:
        with hub.follow(run_id, 0) as follower:
            for number in range(1, 51):
                await say(log, run_id, number)
                assert [entry.seq for entry in await follower.take(LONG_SECONDS)] == [number]


async def test_runs_come_and_go(redis_cluster: RedisCluster, log: Log) -> None:
    runs = [new_run_id() for _ in range(100)]

    async def write(run_id: str) -> None:
        for number in range(1, 11):
            await say(log, run_id, number)

    async def watch(hub: ClusterHub, run_id: str) -> None:
        for upto in (4, 10):
            with hub.follow(run_id, upto - 4) as follower:
                seen = await see(follower, upto)
                assert [entry.seq for entry in seen][: upto - 4] == list(range(upto - 3, upto + 1))[: upto - 4]

    async with running_hub(redis_cluster) as hub:
        await asyncio.gather(*(watch(hub, run_id) for run_id in runs), *(write(run_id) for run_id in runs))
        assert hub.watched == {}


async def test_connections_that_drop_lose_nothing(redis_cluster: RedisCluster, log: Log) -> None:
    runs, total = [redis_cluster.run_on(node) for node in redis_cluster.nodes], 600
    async with running_hub(redis_cluster) as hub:
        with ExitStack() as stack:
            followers = [stack.enter_context(hub.follow(run_id, 0)) for run_id in runs]
            for run_id in runs:
                await at_home(hub, run_id)
            watching = asyncio.gather(*(see(follower, total) for follower in followers))
            writing = asyncio.gather(*(flood_run(log, run_id, total) for run_id in runs))
            for _ in range(3):
                for node in redis_cluster.nodes:
                    await asyncio.to_thread(node.ask, "CLIENT", "KILL", "TYPE", "normal")
            await writing
            for run_id, seen in zip(runs, await watching, strict=True):
                await assert_saw_all(log, run_id, seen)


async def test_a_killed_node_comes_back_while_the_others_go_on(redis_cluster: RedisCluster, log: Log) -> None:
    dead = redis_cluster.nodes[1]
    runs = [redis_cluster.run_on(node) for node in redis_cluster.nodes]
    async with running_hub(redis_cluster) as hub:
        with ExitStack() as stack:
            followers = {run_id: stack.enter_context(hub.follow(run_id, 0)) for run_id in runs}
            for run_id in runs:
                await say(log, run_id, 1)
                await see(followers[run_id], 1)
            async with node_killed(dead, redis_cluster):
                for run_id in (runs[0], runs[2]):
                    await say(log, run_id, 2)
                    await see(followers[run_id], 2)
            for run_id in runs:
                last = 2 if run_id == runs[1] else 3
                await say(log, run_id, last)
                await see(followers[run_id], last)


async def test_a_slot_moves_under_its_followers(redis_cluster: RedisCluster, log: Log) -> None:
    source, _, to = redis_cluster.nodes
    run_id = redis_cluster.run_on(source)
    slot = slot_of(run_id)
    async with running_hub(redis_cluster) as hub:
        with hub.follow(run_id, 0) as follower:
            number = 0

            async def is_seen() -> None:
                nonlocal number
                number += 1
                await say(log, run_id, number)
                await see(follower, number)

            await is_seen()
            redis_cluster.begin_move(slot, to)
            await is_seen()
            redis_cluster.move_keys(slot, to)
            for _ in range(3):
                await is_seen()
            redis_cluster.end_move(slot, to)
            for _ in range(3):
                await is_seen()
            await assert_saw_all(log, run_id, [entry async for entry in _all(log, run_id)])


async def _all(log: Log, run_id: str):
    for entry in await log.after(run_id, 0):
        yield entry


@pytest.mark.parametrize("told", ["asked first", "all at once"])
async def test_a_slot_moves_before_its_run_has_said_anything(redis_cluster: RedisCluster, log: Log, told: str) -> None:
    source, to, _ = redis_cluster.nodes
    run_id = redis_cluster.run_on(source)
    slot = slot_of(run_id)
    async with running_hub(redis_cluster) as hub:
        with hub.follow(run_id, 0) as follower:
            await at_home(hub, run_id)
            if told == "asked first":
                redis_cluster.begin_move(slot, to)
            else:
                redis_cluster.move(slot, to)
            with hub.follow(run_id, 0) as another:
                if told == "asked first":
                    redis_cluster.end_move(slot, to)
                await say(log, run_id, 1)
                await see(follower, 1)
                await see(another, 1)


async def test_a_replica_takes_over(tmp_path: Path) -> None:
    with running_cluster(tmp_path / "nodes") as cluster:
        primary = cluster.nodes[0]
        replica = await asyncio.to_thread(cluster.add_replica, primary)
        await asyncio.to_thread(cluster.settled)
        run_id = cluster.run_on(primary)
        async with connected(cluster.url) as redis, running_hub(cluster) as hub:
            log = Log(redis)
            with hub.follow(run_id, 0) as follower:
                await say(log, run_id, 1)
                await see(follower, 1)
                await until(lambda: replica.ask("INFO", "replication")["slave_repl_offset"])
                await until(lambda: _in_step(primary, replica))
                primary.kill()
                cluster.nodes.remove(primary)
                await until(lambda: _served(log, run_id))
                await say(log, run_id, 2)
                await see(follower, 2)


def _in_step(primary, replica) -> bool:
    offsets = primary.ask("INFO", "replication")["master_repl_offset"], replica.ask("INFO", "replication")
    return offsets[0] == offsets[1]["slave_repl_offset"]


async def _served(log: Log, run_id: str) -> bool:
    try:
        return await log.last(run_id) is not None
    except RedisGone:
        return False


async def test_a_hub_starts_before_its_cluster_does(redis_cluster: RedisCluster, log: Log) -> None:
    run_id = new_run_id()
    await say(log, run_id, 1, *["item_delta"] * 3)
    async with connected(redis_cluster.url) as redis:
        hub = hub_for(Log(redis), redis_cluster.url)
        redis_cluster.kill()
        try:
            async with beside(hub.run()):
                with hub.follow(run_id, 0) as follower:
                    with pytest.raises(RedisGone):
                        await follower.take(LONG_SECONDS)
                    for node in redis_cluster.nodes:
                        await asyncio.to_thread(node.start)
                    await asyncio.to_thread(redis_cluster.settled)
                    await assert_saw_all(log, run_id, await see(follower, 3))
                    await until(lambda: hub.place(run_id))
                    await say(log, run_id, 4)
                    await see(follower, 4)
        finally:
            for node in redis_cluster.nodes:
                if not node.alive:
                    await asyncio.to_thread(node.start)


async def test_a_hub_that_ends_leaves_no_task_and_no_connection_behind(redis_cluster: RedisCluster, log: Log) -> None:
    runs = [redis_cluster.run_on(node) for node in redis_cluster.nodes]
    for run_id in runs:
        await say(log, run_id, 1)
    before, connections = asyncio.all_tasks(), _connections(redis_cluster)
    for _ in range(10):
        async with running_hub(redis_cluster) as hub:
            with ExitStack() as stack:
                followers = [stack.enter_context(hub.follow(run_id, 0)) for run_id in runs]
                await asyncio.gather(*(see(follower, 1) for follower in followers))
    assert asyncio.all_tasks() == before
    await until(lambda: _connections(redis_cluster) <= connections)


def _connections(cluster: RedisCluster) -> int:
    return sum(int(node.ask("INFO", "clients")["connected_clients"]) for node in cluster.nodes)

"""A node of a cluster loses what it had: its logs heal, and those of the other nodes are not touched."""

from cody.archive.healing import Healer, HealingLog
from cody.store import Store
from cody.stream.log import Log
from tests.cluster import ClusterNode, RedisCluster, node_killed
from tests.integration.archive.healing_stage import AT_ONCE, Stage
from tests.integration.store.store_stage import a_run, begin
from tests.integration.stream.stream_stage import assert_lawful, whole
from tests.parts import connected, until


async def test_an_emptied_node_gets_its_logs_back(redis_cluster: RedisCluster, store: Store) -> None:
    lost = redis_cluster.nodes[1]
    async with connected(redis_cluster.url) as redis:
        stages = [Stage(store, node, redis, await _run_on(node, redis_cluster, store)) for node in redis_cluster.nodes]
        log = HealingLog(redis, store, AT_ONCE)
        for stage in stages:
            await stage.record(log, "run_started")
            await stage.claim()
            await stage.say(log, "turn_started", *["item_delta"] * 30)
        healer, before = Healer(log, store), [await stage.read() for stage in stages]
        await healer.round()
        async with node_killed(lost, redis_cluster, emptied=True):
            pass
        plain = Log(redis)
        assert [len(await whole(plain, stage.run_id)) for stage in stages] == [32, 0, 32]

        async def healed() -> bool:
            await healer.round()
            return await log.is_sound(stages[1].run_id)

        await until(healed)
        assert [await stage.read() for stage in stages] == before
        for stage in stages:
            assert (await stage.say(log, "turn_completed")).seq == 33
            assert_lawful(await whole(log, stage.run_id))


async def _run_on(node: ClusterNode, cluster: RedisCluster, store: Store) -> str:
    """A run of the store whose log this node will have."""
    run = a_run()
    while cluster.of(run.run_id) is not node:
        run = a_run()
    return await begin(store, run, "queued")

"""The connection: it can be cancelled at any moment, it gives up in time, and a crowd waits its turn."""

import asyncio
import random
import signal

import pytest

from cody.stream.log import Log
from cody.stream.node import RedisGone, connect_node
from tests.integration.stream.hub_stage import running_hub
from tests.integration.stream.stream_stage import say
from tests.parts import PATIENCE_SECONDS, RedisServer, connected, new_run_id


async def test_a_task_that_talks_to_redis_can_be_cancelled_at_any_moment(log: Log) -> None:
    run_id, chance = new_run_id(), random.Random(7)

    async def talk() -> None:
        while True:
            await log.last(run_id)

    await log.ping()
    for _ in range(300):
        talking = asyncio.create_task(talk())
        for _ in range(chance.randint(1, 12)):
            await asyncio.sleep(0)
        talking.cancel()
        await asyncio.wait((talking,), timeout=PATIENCE_SECONDS)
        assert talking.cancelled()


async def test_a_hub_that_is_cancelled_while_events_come_ends(redis_server: RedisServer, log: Log) -> None:
    chance = random.Random(7)
    for _ in range(20):
        run_id = new_run_id()
        async with asyncio.timeout(PATIENCE_SECONDS), running_hub(redis_server) as hub:
            with hub.follow(run_id, 0) as follower:
                for number in range(1, 4):
                    await say(log, run_id, number)
                    await follower.take(1)
                for _ in range(chance.randint(0, 12)):
                    await asyncio.sleep(0)


async def test_a_redis_that_says_nothing_is_gone_in_time(redis_server: RedisServer) -> None:
    async with connected(redis_server.url) as redis:
        log = Log(redis)
        await log.ping()
        redis.deadline_seconds = 0.2
        redis_server.signal(signal.SIGSTOP)
        try:
            with pytest.raises(RedisGone, match=r"no answer to PING for 0\.2 s"):
                await asyncio.wait_for(log.ping(), PATIENCE_SECONDS)
        finally:
            redis_server.signal(signal.SIGCONT)
        redis.deadline_seconds = 5.0
        await log.ping()


@pytest.mark.parametrize(("setting", "refusing", "usual"), [("maxmemory", 1, 0), ("min-replicas-to-write", 1, 0)])
async def test_a_redis_that_refuses_for_now_counts_as_gone(
    redis_server: RedisServer, log: Log, setting: str, refusing: int, usual: int
) -> None:
    run_id = new_run_id()
    await log.redis.config_set(setting, refusing)
    try:
        with pytest.raises(RedisGone):
            await say(log, run_id, 1)
    finally:
        await log.redis.config_set(setting, usual)
    await say(log, run_id, 1)


async def test_a_crowd_waits_its_turn(redis_server: RedisServer) -> None:
    redis = connect_node(redis_server.url, connections=3)
    log, run_id = Log(redis), new_run_id()
    await say(log, run_id, 1)
    found = await asyncio.gather(*(log.last(run_id) for _ in range(300)))
    assert all(entry and entry.seq == 1 for entry in found)
    assert len(await redis.client_list()) <= 3 + 1
    await redis.aclose()

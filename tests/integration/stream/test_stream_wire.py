"""The wire by which appends go: shared by all, lost and made again, and whatever the URL says."""

import asyncio
import random
import signal
from pathlib import Path

import pytest

from cody.stream.connection import RedisGone, connect
from cody.stream.log import Log
from tests.integration.stream.stream_stage import assert_lawful, events, say, speaker, whole
from tests.parts import PATIENCE_SECONDS, RedisServer, connected, new_run_id


async def test_appends_share_a_connection_and_each_gets_its_own_answer(redis_server: RedisServer, log: Log) -> None:
    chance = random.Random(7)

    async def write(log: Log, run_id: str) -> None:
        for number in range(1, 11):
            who = speaker(run_id, 1, 1)
            done = await log.append(run_id, who.epoch, number, events(who, number, ("item_delta",)))
            assert (done.outcome, done.count, done.seq) == ("ok", 1, number)

    before = len(await log.redis.client_list())
    async with connected(redis_server.url) as redis:
        run_ids = [new_run_id() for _ in range(60)]
        writing = [asyncio.create_task(write(Log(redis), run_id)) for run_id in run_ids]
        given_up = chance.sample(writing, 20)
        for task in given_up:
            for _ in range(chance.randint(0, 5)):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait(writing, timeout=PATIENCE_SECONDS)
        assert [task.cancelled() for task in writing] == [task in given_up for task in writing]
        assert not any(task.exception() for task in writing if task not in given_up)
        for run_id, task in zip(run_ids, writing, strict=True):
            entries = await whole(log, run_id)
            assert_lawful(entries)
            assert task in given_up or len(entries) == 10
    assert len(await log.redis.client_list()) == before


async def test_a_redis_that_went_and_came_while_nothing_was_said_is_no_matter(
    redis_server: RedisServer, log: Log
) -> None:
    run_id = new_run_id()
    await say(log, run_id, 1)
    async with redis_server.killed():
        pass
    await say(log, run_id, 2)


async def test_a_redis_that_does_not_answer_an_append_is_gone_in_time(redis_server: RedisServer) -> None:
    run_ids = [new_run_id() for _ in range(5)]
    async with connected(redis_server.url) as redis:
        log = Log(redis)
        await say(log, run_ids[0], 1)
        redis.deadline_seconds = 0.2
        redis_server.signal(signal.SIGSTOP)
        try:
            late = await asyncio.gather(*(say(log, run_id, 2) for run_id in run_ids), return_exceptions=True)
        finally:
            redis_server.signal(signal.SIGCONT)
        assert [type(error) in RedisGone for error in late] == [True] * 5, late
        redis.deadline_seconds = 5.0
        await say(log, new_run_id(), 1)


@pytest.mark.parametrize("door", ["tcp", "unix"])
async def test_it_is_whoever_and_wherever_the_url_says(tmp_path: Path, door: str) -> None:
    socket = tmp_path / "redis"
    writer = ("--user", "writer", "on", ">secret", "~*", "&*", "+@all")
    server = RedisServer(tmp_path, "--unixsocket", str(socket), *writer)
    server.start()
    try:
        place = f"127.0.0.1:{server.port}/3" if door == "tcp" else f"{socket}?db=3"
        redis = connect(f"{'redis' if door == 'tcp' else 'unix'}://writer:secret@{place}")
        run_id = new_run_id()
        await say(Log(redis), run_id, 1)
        using = [client for client in await redis.client_list() if client["cmd"].startswith("evalsha")]
        assert [(client["user"], client["db"], client["resp"]) for client in using] == [("writer", "3", "3")]
        await redis.aclose()
    finally:
        server.kill()

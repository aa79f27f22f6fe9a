"""What was appended although its writer was never told is given back too, for as long as the writer lives."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from cody.archive.healing import Healer, HealingLog, HealingPatience
from cody.store import Store
from cody.stream.connection import RedisGone
from cody.stream.keys import log_key
from tests.integration.archive.healing_stage import Stage, staged
from tests.integration.stream.stream_proxy import Proxy, proxy_to
from tests.parts import connected, until

PATIENT = HealingPatience(lossy_seconds=60, unsure_seconds=60)
APPEND = b"EVAL"


@pytest.fixture
async def stage(store: Store, tmp_path: Path) -> AsyncGenerator[Stage]:
    async with staged(store, tmp_path) as made:
        yield made


@pytest.fixture
async def proxy(stage: Stage) -> AsyncGenerator[Proxy]:
    async with proxy_to(stage.server.port) as proxy:
        yield proxy


@pytest.fixture
async def log(stage: Stage, proxy: Proxy) -> AsyncGenerator[HealingLog]:
    """Of a worker that does not hear all that Redis tells it; it has begun the attempt."""
    async with connected(proxy.url) as redis:
        log = HealingLog(redis, stage.store, PATIENT)
        await stage.record(log, "run_started")
        await stage.claim()
        await stage.say(log, "turn_started")
        yield log


async def lose_the_answer(stage: Stage, proxy: Proxy, log: HealingLog) -> None:
    """The attempt says something, which is in the log, and does not hear of that, however often it asks."""
    proxy.cut(APPEND, 1000)
    with pytest.raises(RedisGone):
        await stage.say(log, "item_delta", "item_delta")
    proxy.cut(APPEND, 0)


async def test_by_a_writer_that_is_refused_when_it_says_it_again(stage: Stage, proxy: Proxy, log: HealingLog):
    await lose_the_answer(stage, proxy, log)
    other = stage.worker(PATIENT)
    await stage.claim(attempt=2)
    await stage.say(other, "turn_started", attempt=2)
    assert (await stage.say(log, "item_delta", "item_delta")).outcome == "fenced"
    before = await stage.read()
    await stage.lose_all()

    await asyncio.gather(log.heal(stage.run_id), other.heal(stage.run_id))

    assert await stage.read() == before


async def test_by_a_writer_that_was_stopped_while_it_waited(stage: Stage, proxy: Proxy, log: HealingLog):
    held, _ = proxy.hold(APPEND)
    saying = asyncio.create_task(stage.say(log, "item_delta"))
    await until(held.is_set)
    assert await stage.redis.xlen(log_key(stage.run_id)) == 3
    saying.cancel()
    await asyncio.wait((saying,))
    proxy.cut(APPEND, 0)
    before = await stage.read()
    await Healer(log, stage.store).round()
    await stage.lose_all()

    await log.heal(stage.run_id)

    assert await stage.read() == before


async def test_by_a_writer_whose_worker_has_said_something_else_since(stage: Stage, proxy: Proxy, log: HealingLog):
    await lose_the_answer(stage, proxy, log)
    await stage.record(log, "run_pausing", "pausing")
    assert (await stage.say(log, "item_delta", "item_delta")).outcome == "ok"
    before = await stage.read()
    await stage.lose_all()

    await log.heal(stage.run_id)

    assert await stage.read() == before

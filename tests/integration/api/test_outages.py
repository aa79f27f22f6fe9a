"""A Redis that hangs, and comes back, before a crowd."""

import asyncio
import signal
from collections.abc import AsyncGenerator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from api.outages import Outages
from api.standing import Wish, find_place_soon
from api.state import Door
from cody.archive.whole import WholeLog
from cody.contract.cursor import START, Cursor
from cody.store import Store
from tests.integration.archive.healing_stage import Stage, staged
from tests.parts import connected, until

CROWD = 200


class Scene:
    def __init__(self, stage: Stage, door: Door) -> None:
        self.stage, self._door = stage, door

    async def ask(self, place: Cursor = START) -> tuple[int, bool]:
        return await find_place_soon(Wish(self.stage.run_id, place, None, heal=False), self._door)

    async def hang(self) -> None:
        """Let Redis hang, and one client find that out."""
        self.stage.server.signal(signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            await self.ask()

    async def is_back(self) -> bool:
        try:
            return await self.ask() == (0, False)
        except TimeoutError:
            return False


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncGenerator[Scene]:
    store = Store(f"sqlite:///{tmp_path / 'cody.db'}")
    await store.open()
    async with staged(store, tmp_path) as stage, connected(stage.server.url) as redis:
        await stage.record(stage.worker(), "run_started")
        parts = SimpleNamespace(log=WholeLog(redis, store.archive), store=store, outages=Outages(), linker=None)
        yield Scene(stage, cast("Door", parts))
        stage.server.signal(signal.SIGCONT)
    await store.close()


async def test_while_one_finds_out_whether_redis_is_back_nobody_else_waits(scene: Scene):
    await scene.hang()
    finding_out = asyncio.create_task(scene.ask())
    await asyncio.sleep(0)
    for _ in range(CROWD):
        with pytest.raises(TimeoutError):
            await scene.ask()
    assert not finding_out.done()
    with pytest.raises(TimeoutError):
        await finding_out


async def test_who_asks_when_redis_is_back_is_answered_and_all_others_are(scene: Scene):
    await scene.hang()
    scene.stage.server.signal(signal.SIGCONT)
    await until(scene.is_back)
    for _ in range(CROWD):  # one after the other: each has a second, also on a busy machine
        assert await scene.ask() == (0, False)


async def test_a_client_that_goes_while_it_finds_out_leaves_that_to_the_next(scene: Scene):
    await scene.hang()
    finding_out = asyncio.create_task(scene.ask())
    await asyncio.sleep(0)
    finding_out.cancel()
    await asyncio.wait((finding_out,))
    scene.stage.server.signal(signal.SIGCONT)
    await until(scene.is_back)


async def test_an_answer_that_is_an_error_is_an_answer():
    outages = Outages()

    async def ask(error: Exception) -> None:
        async with outages.asking("here"):
            raise error

    with pytest.raises(ConnectionError):
        await ask(ConnectionError())
    with pytest.raises(ValueError, match="no such place"):
        await ask(ValueError("no such place"))
    async with outages.asking("here"), outages.asking("here"):
        pass


async def test_one_server_that_is_away_says_nothing_of_another():
    outages = Outages()
    with pytest.raises(ConnectionError):
        async with outages.asking("a"):
            raise ConnectionError
    async with outages.asking("a"), outages.asking("b"):
        with pytest.raises(TimeoutError):
            async with outages.asking("a"):
                pass

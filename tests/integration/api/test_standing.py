"""A client that stands where the log has been is never told that there is no such place, whatever happens meanwhile."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import pytest

from api.links import Linker
from api.problems import ProblemError
from api.standing import Unsettled, Wish, find_place
from api.state import Door
from cody.archive.archivist import Archivist, Retention
from cody.archive.healing import HealingLog
from cody.archive.whole import WholeLog
from cody.contract.cursor import Cursor
from cody.store import Store
from tests.integration.archive.healing_stage import Stage, staged
from tests.parts import connected

END = 23
PLACES: list[Cursor | Literal["latest"]] = [Cursor(0), Cursor(1, 0), Cursor(12), Cursor(END, 1001), "latest"]
Step = Callable[[], Awaitable[object]]


class Scene:
    """A run in a turn, its worker, and a door whose Redis does something after one of the commands that it is sent."""

    def __init__(self, stage: Stage, worker: HealingLog, door: Door, redis: Any) -> None:
        self.stage = stage
        self.worker = worker
        self._door = door
        self._redis = redis
        self._send = redis.execute_command

    async def lose(self) -> None:
        await self.stage.lose_all()

    async def heal(self) -> None:
        await self.worker.heal(self.stage.run_id)

    async def lose_and_heal(self) -> None:
        await self.lose()
        await self.heal()

    async def archive(self) -> None:
        await Archivist(self.stage.store, self.worker, Retention(young_seconds=0, gather_events=1)).round()

    async def find(self, place: Cursor | Literal["latest"], after: int, then: Step) -> tuple[int, bool] | None:
        """The place that is found if that happens after so many commands; None if it is not known as yet."""
        left = after

        async def execute_command(*args: Any, **options: Any) -> Any:
            nonlocal left
            reply = await self._send(*args, **options)
            left -= 1
            if not left:
                await then()
            return reply

        self._redis.execute_command = execute_command
        try:
            return await find_place(Wish(self.stage.run_id, place, None, heal=False), self._door)
        except Unsettled:
            return None


@pytest.fixture
async def scene(store: Store, tmp_path: Path) -> AsyncGenerator[Scene]:
    async with staged(store, tmp_path) as stage, connected(stage.server.url) as redis:
        worker = stage.worker()
        await stage.record(worker, "run_started")
        await stage.claim()
        await stage.say(worker, "turn_started", *["item_delta"] * (END - 2))
        parts = SimpleNamespace(log=WholeLog(redis, store.archive), store=store, linker=Linker("default", ""))
        yield Scene(stage, worker, cast("Door", parts), redis)


@pytest.mark.parametrize("before", ["heal", "lose"])
@pytest.mark.parametrize("then", ["heal", "lose", "lose_and_heal", "archive"])
@pytest.mark.parametrize("after", [1, 2, 3])
async def test_a_place_that_was_there_is_found_or_waited_for(scene: Scene, before: str, then: str, after: int):
    for place in PLACES:
        await scene.heal()
        await getattr(scene, before)()
        found = await scene.find(place, after, getattr(scene, then))
        assert found in {(END if place == "latest" else place.seq, False), None}
        if before == "heal" and then != "lose":
            assert found is not None


async def test_what_was_never_there_is_told_when_nothing_is_missing(scene: Scene):
    ahead = Cursor(10**9)
    with pytest.raises(ProblemError) as told:
        await scene.find(ahead, 0, scene.heal)
    assert told.value.problem.status == 409
    await scene.lose()
    assert await scene.find(ahead, 0, scene.heal) is None
    await scene.heal()
    with pytest.raises(ProblemError):
        await scene.find(ahead, 0, scene.heal)

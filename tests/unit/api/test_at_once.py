"""Work that is done at once where it can be, and in a task where it has to wait."""

import asyncio

import pytest

from api.at_once import run_at_once


class Work:
    """Waits for the gate twice, unless it is open, and writes down how it went."""

    def __init__(self) -> None:
        self.gate: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.steps: list[object] = []

    async def __call__(self) -> None:
        self.steps.append("began")
        try:
            self.steps.append(await self.gate)
            async with asyncio.timeout(60):  # which needs a task
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.steps.append("cancelled")
            raise
        self.steps.append("ended")


async def test_what_does_not_wait_is_done_when_the_call_returns():
    steps: list[str] = []

    async def work() -> None:
        steps.append("done")

    assert run_at_once(work()) is None
    assert steps == ["done"]


async def test_what_waits_goes_on_in_a_task_when_what_it_waits_for_is_there():
    work = Work()
    rest = run_at_once(work())
    assert rest is not None
    assert work.steps == ["began"]
    await asyncio.sleep(0)
    assert work.steps == ["began"]
    work.gate.set_result("opened")
    await rest
    assert work.steps == ["began", "opened", "ended"]


@pytest.mark.parametrize("turns_of_the_loop", [0, 1, 3])
async def test_a_cancellation_comes_to_the_work_where_it_waits(turns_of_the_loop: int):
    work = Work()
    rest = run_at_once(work())
    assert rest is not None
    for _ in range(turns_of_the_loop):
        await asyncio.sleep(0)
    rest.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rest
    assert work.steps == ["began", "cancelled"]


async def test_work_may_wait_for_nothing_but_its_task():
    tasks: list[asyncio.Task[None] | None] = []

    async def work() -> None:
        await asyncio.sleep(0)
        tasks.append(asyncio.current_task())

    rest = run_at_once(work())
    assert rest is not None
    await rest
    assert tasks == [rest]


@pytest.mark.parametrize("waits", [False, True])
async def test_an_error_is_told_to_who_asks_for_it_and_not_to_the_caller(waits: bool):
    async def work() -> None:
        if waits:
            await asyncio.sleep(0)
        raise ValueError("broken")

    rest = run_at_once(work())
    assert rest is not None
    with pytest.raises(ValueError, match="broken"):
        await rest

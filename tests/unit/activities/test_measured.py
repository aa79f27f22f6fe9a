"""Activities are counted by how they end."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.measured import Measured
from tests.figures import own


class Inner(ActivityInboundInterceptor):
    """Where the activity itself is called."""

    def __init__(self) -> None:
        pass

    async def execute_activity(self, input: ExecuteActivityInput) -> object:
        return await input.fn(*input.args)


async def does() -> str:
    return "done"


async def fails() -> str:
    raise ValueError("no")


async def is_cancelled() -> str:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("activity", "outcome", "error"),
    [(does, "done", None), (fails, "failed", ValueError), (is_cancelled, "cancelled", asyncio.CancelledError)],
)
async def test_an_activity_is_counted_by_how_it_ends(
    activity: Callable[[], Awaitable[str]], outcome: str, error: type[BaseException] | None
):
    environment = ActivityEnvironment()
    kind = environment.info.activity_type
    before = own()

    async def looks() -> str:
        assert own().value("cody_activities_running", activity=kind) == 1
        return await activity()

    call = ExecuteActivityInput(fn=looks, args=(), executor=None, headers={})
    running = environment.run(Measured().intercept_activity(Inner()).execute_activity, call)
    if error is None:
        assert await running == "done"
    else:
        with pytest.raises(error):
            await running

    after = own()
    assert after.value("cody_activities_running", activity=kind) == 0
    for each in ("done", "failed", "cancelled"):
        more = after.value("cody_activities_total", activity=kind, outcome=each)
        assert more == before.value("cody_activities_total", activity=kind, outcome=each) + (each == outcome)

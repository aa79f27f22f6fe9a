"""Which runs the figures name."""

from contextlib import ExitStack

from cody.stream.connection import connect
from cody.stream.hub import Hub
from cody.stream.hub_figures import MOST_WATCHED, HubFigures
from cody.stream.log import Log


async def test_of_many_runs_those_with_the_most_followers_are_named():
    redis = connect("redis://127.0.0.1:1")  # nothing is sent
    hub = Hub(Log(redis), redis)
    with ExitStack() as stack:
        for number in range(MOST_WATCHED + 50):
            for _ in range(2 if number < 3 else 1):
                stack.enter_context(hub.follow(f"run_{number:03}", 0))
        figures = {family.name: family for family in HubFigures(hub).collect()}
        shown = {sample.labels["run_id"]: sample.value for sample in figures["cody_hub_run_clients"].samples}
    assert len(shown) == MOST_WATCHED
    assert {run_id for run_id, followers in shown.items() if followers == 2} == {"run_000", "run_001", "run_002"}
    assert figures["cody_hub_runs"].samples[0].value == MOST_WATCHED + 50
    assert figures["cody_hub_clients"].samples[0].value == MOST_WATCHED + 53
    assert list(HubFigures(hub).collect())[2].samples == []
    await redis.aclose()

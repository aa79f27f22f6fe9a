"""Runs that are ended while a model writes and while its tool runs: at once, and nothing is left."""

import pytest

from tests.e2e.models.answers import APIS, HOLD, Api, Call, Text, answer, scenario
from tests.e2e.models.checks import finished, plain, start, start_once, texts
from tests.e2e.models.playing import Play, Providers
from tests.e2e.runs.checks import processes_of, types
from tests.service import Run, Service, eventually

pytestmark = pytest.mark.parametrize("api", APIS)


def held(api: Api, providers: Providers) -> Play:
    """An answer that stops in the middle of its text until it is released; it may be asked for again."""
    chunks = answer(api, "a", Text("Once upon a time there was a model."))
    middle = len(chunks) // 2
    step = {"chunks": [*chunks[:middle], HOLD, *chunks[middle:]], "times": None}
    return providers.play(scenario(api, step))


def test_a_cancel_in_mid_text_hangs_up_on_the_provider(api: Api, models: Service, providers: Providers) -> None:
    play = held(api, providers)
    run = start(models, play, plain(api))
    run.event("item_delta")
    snapshot = run.cancel()
    response, events = finished(run, "cancelled")
    assert response["status"] == "aborted"
    assert [item["type"] for item in response["output_items"]] == ["cancelled"]
    assert events[-1]["payload"]["receipt"]["survivors"] == []
    assert snapshot["status"] == "cancelled"
    eventually(lambda: play.look()["requests"][0]["hung_up"])
    assert len(play.bodies) == 1


def test_a_cancel_in_mid_tool_ends_all_that_the_tool_started(api: Api, models: Service, providers: Providers) -> None:
    # The grandchild is in a session of its own, as some tools leave theirs.
    command = "setsid sleep 1000 & echo $! > started; sleep 1000"
    play = providers.play(scenario(api, answer(api, "a", Call("call_1", "shell", {"command": command}))))
    root = models.workspace()
    run = start(models, play, plain(api), root=root)
    eventually((root / "started").exists)
    eventually(lambda: len(processes_of(run)) >= 2)
    run.cancel()
    response, events = finished(run, "cancelled")
    assert processes_of(run) == []
    receipt = events[-1]["payload"]["receipt"]
    assert receipt["survivors"] == []
    assert len(receipt["reaped"]) >= 2
    assert response["status"] == "aborted"
    assert [item["type"] for item in response["output_items"]] == ["function_call", "cancelled"]
    assert len(play.bodies) == 1


def test_a_pause_now_in_mid_text_repeats_the_turn_when_it_is_resumed(
    api: Api, models: Service, providers: Providers
) -> None:
    play = held(api, providers)
    run: Run = start_once(models, play, plain(api))
    run.event("item_delta")
    run.control("pause", mode="now").raise_for_status()
    run.wait("paused")
    play.release()
    run.control("resume").raise_for_status()
    response, events = finished(run)
    assert texts(response) == ["Once upon a time there was a model."]
    assert types(events, "turn_aborted_by_user", "turn_completed") == ["turn_aborted_by_user", "turn_completed"]
    assert len(play.bodies) == 2

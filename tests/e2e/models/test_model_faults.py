"""A provider that fails: how often it is asked, and what ends a turn that would not end.

Each way in which an answer can break is a scenario, see `test_model_cases`.
"""

from typing import Any

import pytest

from tests.e2e.models.answers import APIS, HOLD, Api, Text, answer, refused, scenario
from tests.e2e.models.checks import finished, plain, start, start_once, texts
from tests.e2e.models.playing import Providers
from tests.e2e.runs.checks import types
from tests.service import Service, eventually, free_ports

pytestmark = pytest.mark.parametrize("api", APIS)


def test_a_busy_provider_is_asked_again(api: Api, models: Service, providers: Providers) -> None:
    busy = {**refused(api, 529, "overloaded_error"), "times": 1}
    play = providers.play(scenario(api, busy, answer(api, "a", Text("Here I am."))))
    response, events = finished(start(models, play, plain(api)))
    assert (texts(response), response["attempt"]) == (["Here I am."], 2)
    ends = [event for event in events if event["type"] in {"turn_failed", "turn_completed"}]
    assert [event["type"] for event in ends] == ["turn_failed", "turn_completed"]
    assert ends[0]["payload"]["will_retry"]
    assert ends[0]["payload"]["error"]["code"] == "overloaded_error"
    play.check()


def test_a_fault_of_ours_is_not_tried_again(api: Api, models: Service, providers: Providers) -> None:
    play = providers.play(scenario(api, refused(api, 401, "authentication_error")))
    response, events = finished(start(models, play, plain(api)), "failed")
    assert (response["status"], response["output_items"]) == ("error", [])
    assert types(events, "turn_failed") == ["turn_failed"]
    assert len(play.bodies) == 1


def test_nobody_at_the_address_fails_the_run(api: Api, models: Service, providers: Providers) -> None:
    play = providers.play(scenario(api, {"times": None}))
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
    env = {**play.env, "OPENAI_BASE_URL": nowhere, "ANTHROPIC_BASE_URL": nowhere}
    response, _ = finished(start_once(models, play, plain(api), env=env), "failed")
    assert (response["error"]["code"], response["output_items"]) == ("provider_unreachable", [])
    assert play.bodies == []


def test_a_turn_that_takes_too_long_is_ended(api: Api, models: Service, providers: Providers) -> None:
    chunks: list[Any] = answer(api, "a", Text("This sentence will not be finished."))
    play = providers.play(scenario(api, [*chunks[: len(chunks) // 2], HOLD]))
    run = start_once(models, play, plain(api), turn_timeout_seconds=1)
    response, _ = finished(run, "failed")
    assert response["error"]["code"] == "turn_timeout"
    eventually(lambda: play.look()["requests"][0]["hung_up"])

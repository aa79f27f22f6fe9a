"""Runs of models, and what is true of each: streamed, persisted and expected are one and the same."""

from pathlib import Path
from typing import Any

from fixtures.providers.matching import differences
from fixtures.providers.scenario import Scenario
from tests.e2e.models.answers import MODELS, Api
from tests.e2e.models.playing import Play
from tests.e2e.runs.checks import check_ended
from tests.service import Run, Service


def start(
    service: Service,
    play: Play,
    agent: dict[str, Any],
    prompt: str = "Go on.",
    *,
    root: Path | None = None,
    **more: Any,
) -> Run:
    """A single run whose requests `play` answers; in `root` if it needs a working directory."""
    body = {"agent": agent, "prompt": f"{prompt} {play.tag}", **more}
    if root is not None:
        body["working_dir"] = str(root)
    answer = service.post(body, single=True)
    assert answer.status_code == 202, answer.text
    return Run(service, answer.json(), root or service.root)


def start_once(service: Service, play: Play, agent: dict[str, Any], **more: Any) -> Run:
    """A continuous run of one turn that is tried once, so that a failure is told without retries."""
    body = {"agent": agent, "prompt": "Go on.", "env": play.env, "max_turns": 1, "turn_attempts": 1, **more}
    answer = service.post(body)
    assert answer.status_code == 202, answer.text
    return Run(service, answer.json(), Path(more.get("working_dir", service.root)))


def agent_of(scenario: Scenario) -> dict[str, Any]:
    """Who plays this scenario."""
    return {"kind": scenario.provider, "model": scenario.model, **scenario.agent}


def plain(api: Api, **more: Any) -> dict[str, Any]:
    """An agent for answers that were made up on the spot."""
    return {"kind": api, "model": MODELS[api], **more}


def prepare(service: Service, scenario: Scenario) -> Path:
    """A working directory with the scenario's files."""
    root = service.workspace()
    for path, content in scenario.files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return root


def finished(run: Run, *statuses: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Wait for the end; what was streamed and what was persisted are one. Gives the response and the events."""
    run.wait(*(statuses or ("completed",)))
    events = check_ended(run)
    (response,) = run.responses()
    return response, events


def check_expected(response: dict[str, Any], scenario: Scenario) -> None:
    """The response is the one that the scenario's author wrote down."""
    expected = scenario.expected_response
    items = response["output_items"]
    assert (len(items), differences(expected.items, items)) == (len(expected.items), [])
    assert (response["status"], response["finish_reason"]) == (expected.status, expected.finish_reason)
    assert (response["model_id"], response["provider_id"]) == (scenario.model, scenario.provider)
    if expected.usage is not None:
        assert expected.usage.items() <= response["usage"].items()
    if expected.error is not None:
        assert expected.error.items() <= response["error"].items()


def texts(response: dict[str, Any]) -> list[str]:
    """What its messages say."""
    return [item["content"] for item in response["output_items"] if item["type"] == "message"]


def outputs(response: dict[str, Any]) -> list[tuple[bool, str]]:
    """How its tools ended, and what they said."""
    return [
        (item["success"], item["output"]) for item in response["output_items"] if item["type"] == "function_call_output"
    ]

"""Bad input is refused with the path of the field that is wrong."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from cody.contract.requests import ContinuousRunRequest, ControlRequest, SingleRunRequest

COMMAND = {"kind": "command", "command": ["./agent.sh"]}
GOOD: dict[str, Any] = {"agent": COMMAND, "working_dir": "/srv/project"}


def faults(model: Any, body: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(model).validate_python(body)
    return [".".join(str(part) for part in error["loc"]) for error in caught.value.errors()]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"agent": None}, "agent"),
        ({"agent": {"kind": "gpt"}}, "agent"),
        ({"agent": {"command": ["x"]}}, "agent"),
        ({"agent": {"kind": "command"}}, "agent.command.command"),
        ({"agent": {"kind": "command", "command": []}}, "agent.command.command"),
        ({"agent": {"kind": "command", "command": "ls -l"}}, "agent.command.command"),
        ({"agent": {"kind": "command", "command": ["a\0b"]}}, "agent.command.command.0"),
        ({"agent": COMMAND | {"model": "x"}}, "agent.command.model"),
        ({"agent": {"kind": "openai"}}, "agent.openai.model"),
        ({"agent": {"kind": "openai", "model": "m", "tools": ["sudo"]}}, "agent.openai.tools.0"),
        ({"agent": {"kind": "anthropic", "model": "m", "thinking_budget": 3}}, "agent.anthropic.thinking_budget"),
        ({"working_dir": 7}, "working_dir"),
        ({"working_dir": ""}, "working_dir"),
        ({"epic_id": "a b"}, "epic_id"),
        ({"epic_id": "x" * 129}, "epic_id"),
        ({"prompt": {"state_files": ["../x"]}}, "prompt.PromptSpec.state_files.0"),
        ({"prompt": {"reference_files": ["/etc/passwd"]}}, "prompt.PromptSpec.reference_files.0"),
        ({"max_turns": 0}, "max_turns"),
        ({"max_turns": "3"}, "max_turns"),
        ({"max_turns": True}, "max_turns"),
        ({"loop_delay_seconds": -1}, "loop_delay_seconds"),
        ({"loop_delay_seconds": float("nan")}, "loop_delay_seconds"),
        ({"turn_timeout_seconds": 0}, "turn_timeout_seconds"),
        ({"turn_timeout_seconds": 1e12}, "turn_timeout_seconds"),
        ({"turn_attempts": 0}, "turn_attempts"),
        ({"turn_attempts": 1000}, "turn_attempts"),
        ({"completion": {"log": "../a.md"}}, "completion.log"),
        ({"completion": {"pattern": "DONE"}}, "completion"),
        ({"completion": {"stop_file": "/tmp/stop"}}, "completion.stop_file"),
        ({"completion": {"scan_tail_lines": 0}}, "completion.scan_tail_lines"),
        ({"budget": {"max_tokens": 0}}, "budget.max_tokens"),
        ({"budget": {"max_dollars": 1}}, "budget.max_dollars"),
        ({"watch": {"logs": ["a/../../b"]}}, "watch.logs.0"),
        ({"env": {"A=B": "x"}}, "env.A=B.[key]"),
        ({"env": {"A": 1}}, "env.A"),
        ({"metadata": {"a": {"b": 1}}}, "metadata.a"),
        ({"max_trns": 3}, "max_trns"),
    ],
)
def test_continuous_run_names_the_bad_field(change: dict[str, Any], where: str) -> None:
    assert where in faults(ContinuousRunRequest, GOOD | change)


def test_all_faults_are_told_at_once() -> None:
    assert set(faults(ContinuousRunRequest, {**GOOD, "max_turns": 0, "turn_attempts": "x", "nope": 1})) == {
        "max_turns",
        "turn_attempts",
        "nope",
    }


@pytest.mark.parametrize("kind", ["command", "codex", "claude-code"])
def test_an_agent_that_works_on_files_needs_a_place(kind: str) -> None:
    agent = {"kind": kind} | ({"command": ["x"]} if kind == "command" else {})
    assert faults(SingleRunRequest, {"agent": agent, "prompt": "Hi"}) == [""]
    SingleRunRequest.model_validate({"agent": {"kind": "openai", "model": "m"}, "prompt": "Hi"})


@pytest.mark.parametrize("body", [None, [], "x", 7])
def test_a_body_that_is_no_object_is_refused(body: Any) -> None:
    assert faults(ContinuousRunRequest, body) == [""]


def test_single_run_needs_its_prompt_and_takes_no_loop() -> None:
    assert faults(SingleRunRequest, GOOD) == ["prompt"]
    assert faults(SingleRunRequest, {**GOOD, "prompt": "Hi", "max_turns": 2}) == ["max_turns"]
    assert faults(SingleRunRequest, {**GOOD, "prompt": "Hi", "thread_id": "a/b"}) == ["thread_id"]


@pytest.mark.parametrize(
    ("body", "where"),
    [({}, "action"), ({"action": "stop"}, "action"), ({"action": "pause", "mode": "soon"}, "mode"), ({"x": 1}, "x")],
)
def test_control_names_the_bad_field(body: dict[str, Any], where: str) -> None:
    assert where in faults(ControlRequest, body)


def test_null_means_not_given() -> None:
    sent = ContinuousRunRequest.model_validate({**GOOD, "max_turns": None, "prompt": None, "env": None})
    assert sent == ContinuousRunRequest.model_validate(GOOD)


def test_watched_logs_are_those_named_unless_told() -> None:
    prompt = {"state_files": ["a.md", "log.md"]}
    named = ContinuousRunRequest.model_validate({**GOOD, "completion": {"log": "log.md"}, "prompt": prompt})
    assert named.watched_logs == ["log.md", "a.md"]
    assert ContinuousRunRequest.model_validate({**GOOD, "watch": {"logs": ["x.md"]}}).watched_logs == ["x.md"]

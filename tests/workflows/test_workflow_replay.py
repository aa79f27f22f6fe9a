"""Workflow code decides today as it did when the committed histories were recorded, or these tests fail."""

import json
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.workflow import NondeterminismError

from tests.workflows.record import HISTORIES
from tests.workflows.scenarios import SCENARIOS
from tests.workflows.stack import SANDBOX
from workflows.continuous_run import ContinuousRun
from workflows.journal import CARRIED_SECONDS

RECORDED = sorted(HISTORIES.glob("*.json"))


async def replay(history: dict[str, Any], runner: WorkflowRunner) -> None:
    replayer = Replayer(workflows=[ContinuousRun], data_converter=pydantic_data_converter, workflow_runner=runner)
    await replayer.replay_workflow(WorkflowHistory.from_json("run_replayed", history))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
@pytest.mark.parametrize("runner", [SANDBOX, UnsandboxedWorkflowRunner()], ids=["sandboxed", "as in production"])
async def test_a_recorded_history_replays(path: Path, runner: WorkflowRunner):
    await replay(json.loads(path.read_text()), runner)


def test_every_scenario_is_recorded():
    assert {path.name.split(".")[0] for path in RECORDED} == set(SCENARIOS)


def test_a_run_that_continued_as_new_has_several_histories():
    assert len(list(HISTORIES.glob("continued_as_new.*.json"))) > 1


def test_a_run_of_short_turns_records_only_its_end():
    events = json.loads((HISTORIES / "completed.1.json").read_text())["events"]
    scheduled = [event["activityTaskScheduledEventAttributes"] for event in events
                 if "activityTaskScheduledEventAttributes" in event]  # fmt: skip
    assert [activity["activityType"]["name"] for activity in scheduled] == ["take_turn"] * 3 + ["record"]


def test_a_provider_is_not_asked_sooner_than_it_says():
    events = json.loads((HISTORIES / "told_to_wait.1.json").read_text())["events"]
    timers = [event["timerStartedEventAttributes"] for event in events if "timerStartedEventAttributes" in event]
    journals = f"{CARRIED_SECONDS:g}s"
    assert [seconds for timer in timers if (seconds := timer["startToFireTimeout"]) != journals] == ["3s"]


def _without_the_record_of_the_end(events: list[dict[str, Any]]) -> None:
    """The run ends without having recorded its end: the workflow would have scheduled one more activity."""
    scheduled = [event for event in events if event["eventType"] == "EVENT_TYPE_ACTIVITY_TASK_SCHEDULED"]
    scheduled[-1]["activityTaskScheduledEventAttributes"]["activityType"]["name"] = "take_turn"


def _a_timer_nobody_started(events: list[dict[str, Any]]) -> None:
    """An activity that was scheduled has become a timer."""
    first = next(event for event in events if event["eventType"] == "EVENT_TYPE_ACTIVITY_TASK_SCHEDULED")
    completed = first.pop("activityTaskScheduledEventAttributes")["workflowTaskCompletedEventId"]
    first["eventType"] = "EVENT_TYPE_TIMER_STARTED"
    first["timerStartedEventAttributes"] = {
        "timerId": "1",
        "startToFireTimeout": "5s",
        "workflowTaskCompletedEventId": completed,
    }


@pytest.mark.parametrize("spoil", [_without_the_record_of_the_end, _a_timer_nobody_started])
async def test_a_history_that_the_workflow_would_not_have_made_fails(spoil: Any):
    history = json.loads((HISTORIES / "completed.1.json").read_text())
    spoil(history["events"])
    with pytest.raises(NondeterminismError):
        await replay(history, SANDBOX)

"""Pause, resume and cancel, at every moment of a run's life and from every side."""

import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.runs.checks import check_ended, processes_of, types
from tests.service import Run, Service, eventually

LIFE = ("run_pausing", "run_paused", "run_resumed", "run_cancelling", "run_cancelled", "run_completed")


def test_a_pause_lets_the_turn_finish(service: Service):
    place = service.workspace()
    run = service.start("while [ ! -e go ]; do sleep 0.02; done", working_dir=place, max_turns=2)
    run.event("turn_started")
    assert run.control("pause", reason="lunch").json()["status"] == "pausing"
    assert run.control("pause").json()["status"] == "pausing"
    assert run.snapshot()["status"] == "pausing"
    (place / "go").touch()
    run.wait("paused")
    assert run.snapshot()["stats"]["turns"] == 1
    assert run.control("pause").json()["status"] == "paused"
    assert run.control("resume").json()["status"] == "running"
    run.wait("completed")
    events = check_ended(run)
    assert types(events, *LIFE) == ["run_pausing", "run_paused", "run_resumed", "run_completed"]
    assert next(e for e in events if e["type"] == "run_paused")["payload"]["reason"] == "lunch"


def test_a_pause_now_interrupts_and_the_resume_repeats_the_turn(service: Service):
    run = service.start('[ "$CODY_ATTEMPT" -eq 2 ] || sleep 600', max_turns=1)
    run.event("turn_started")
    run.control("pause", mode="now", reason="stop it")
    run.wait("paused")
    assert not processes_of(run)
    assert run.responses()[0]["status"] == "aborted"
    run.control("resume")
    snapshot = run.wait("completed")
    events = check_ended(run)
    assert (snapshot["current_turn"], snapshot["attempt"]) == (1, 2)
    aborted = next(e for e in events if e["type"] == "turn_aborted_by_user")
    assert aborted["payload"]["reason"] == "stop it"
    assert [r["status"] for r in run.responses()] == ["complete"]


def test_now_overrides_a_pause_after_the_turn(service: Service):
    run = service.start('[ "$CODY_ATTEMPT" -eq 2 ] || sleep 600', max_turns=1)
    run.event("turn_started")
    run.control("pause")
    assert run.control("pause", mode="now").json()["status"] == "pausing"
    run.wait("paused")
    run.control("resume")
    run.wait("completed")
    check_ended(run)


def test_a_resume_withdraws_a_pause(service: Service):
    place = service.workspace()
    run = service.start("while [ ! -e go ]; do sleep 0.02; done", working_dir=place, max_turns=2)
    run.event("turn_started")
    run.control("pause")
    assert run.control("resume").json()["status"] == "running"
    (place / "go").touch()
    run.wait("completed")
    assert types(check_ended(run), *LIFE) == ["run_pausing", "run_resumed", "run_completed"]


STUBBORN = """
trap '' TERM
(setsid sh -c 'sleep 600' &)
(env -i PATH="$PATH" setsid sh -c 'sleep 600 & wait' &)
sleep 600
"""


@pytest.mark.parametrize(
    ("script", "signals"), [("sleep 600 & sleep 600", ["SIGTERM"]), (STUBBORN, ["SIGTERM", "SIGKILL"])]
)
def test_a_cancel_ends_all_that_the_agent_started(script: str, signals: list[str], service: Service):
    run = service.start(script)
    pid = eventually(lambda: run.snapshot()["pid"])
    keeper = eventually(lambda: [p for p in processes_of(run) if p.pid == pid])[0].parent()
    assert keeper is not None
    below = eventually(lambda: found if len(found := keeper.children(recursive=True)) > 2 else None)
    assert run.control("cancel", reason="enough").json()["status"] == "cancelling"
    assert run.control("cancel").status_code == 202
    assert run.control("pause").status_code == 409
    run.wait("cancelled")
    assert not [process for process in below if process.is_running()]
    assert not processes_of(run)
    receipt = check_ended(run)[-1]["payload"]["receipt"]
    assert receipt["signals"] == signals
    assert pid in receipt["reaped"]
    assert receipt["survivors"] == []
    assert receipt["quiet_at"] >= receipt["requested_at"]


def test_a_run_can_be_cancelled_before_it_starts(service: Service):
    with service.frozen("worker"):
        run = service.start("sleep 600")
        assert run.control("pause").json()["status"] == "pausing"
        assert run.control("resume").json()["status"] == "running"
        assert run.control("cancel", reason="not today").json()["status"] == "cancelling"
        assert run.snapshot()["status"] == "cancelling"
    run.wait("cancelled")
    events = check_ended(run)
    assert not types(events, "turn_started")
    assert events[-1]["payload"]["reason"] == "not today"


def test_a_run_can_be_paused_before_it_starts(service: Service):
    with service.frozen("worker"):
        run = service.start("true", max_turns=1)
        run.control("pause")
    run.wait("paused")
    assert run.snapshot()["current_turn"] == 0
    run.control("cancel")
    run.wait("cancelled")
    assert types(check_ended(run), *LIFE)[-2:] == ["run_cancelling", "run_cancelled"]


def test_a_run_can_be_cancelled_between_turns_and_after_a_failure(service: Service):
    waiting = service.start("true", loop_delay_seconds=600, max_turns=None)
    failing = service.start("exit 1", turn_attempts=100)
    waiting.event("turn_completed")
    failing.event("turn_failed")
    for run in (waiting, failing):
        run.cancel()
        assert check_ended(run)[-1]["payload"]["receipt"]["survivors"] == []


def test_what_is_over_cannot_be_controlled(service: Service):
    run = service.start("true", max_turns=1)
    run.wait("completed")
    for action in ("pause", "resume", "cancel"):
        answer = run.control(action)
        assert answer.status_code == 409
        assert answer.json()["code"] == "invalid_transition"


def _temporal(service: Service, *words: str) -> None:
    binary = Path(sys.executable).parent / "temporal"
    subprocess.run([binary, "workflow", *words, "--address", service.temporal_address], check=True, capture_output=True)


def test_the_temporal_command_controls_a_run(service: Service):
    run = service.start("sleep 0.1", max_turns=None)
    run.event("turn_started")
    _temporal(service, "signal", "--workflow-id", run.id, "--name", "pause")
    run.wait("paused")
    _temporal(service, "signal", "--workflow-id", run.id, "--name", "pause", "--input", '{"mode": "never"}')
    _temporal(service, "signal", "--workflow-id", run.id, "--name", "resume", "--input", '{"reason": "go"}')
    run.wait("running")
    _temporal(service, "signal", "--workflow-id", run.id, "--name", "resume")
    _temporal(service, "cancel", "--workflow-id", run.id)
    run.wait("cancelled")
    events = check_ended(run)
    assert [e["payload"]["code"] for e in events if e["type"] == "warning"] == ["illegal_signal", "illegal_signal"]


def test_a_run_whose_workflow_was_terminated_is_found_and_closed(service: Service):
    run = service.start("sleep 600")
    eventually(lambda: run.snapshot()["pid"])
    _temporal(service, "terminate", "--workflow-id", run.id)
    assert run.wait("failed")["error"]["code"] == "workflow_terminated"
    check_ended(run)
    assert not processes_of(run)


def test_random_controls_leave_no_run_stuck_and_no_process_alive(service: Service):
    chance = random.Random(7)
    runs = [service.start("sleep 0.05", max_turns=4) for _ in range(12)]
    for _ in range(120):
        run = chance.choice(runs)
        answer = run.control(
            chance.choice(
                ["pause", "pause", "resume", "resume", "resume", "cancel"]
                if chance.random() < 0.2
                else ["pause", "resume"]
            ),
            **({"mode": "now"} if chance.random() < 0.3 else {}),
        )
        assert answer.status_code in {202, 409}
    for run in runs:
        _see_to_its_end(run)
        check_ended(run)
        assert not processes_of(run)


def test_a_cancel_that_was_accepted_ends_the_run_cancelled(service: Service):
    chance = random.Random(11)
    place = service.workspace()

    def storm(_: int) -> None:
        run = service.start("sleep 0.05", working_dir=place, max_turns=1)
        run.event(chance.choice(["turn_started", "response_done", "turn_completed"]))
        actions = chance.choice([["cancel"], ["pause", "resume", "cancel"], ["pause", "cancel", "cancel"]])
        accepted = {action for action in actions if run.control(action).status_code == 202}
        run.wait("cancelled" if "cancel" in accepted else "completed")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(storm, range(40)))


def _see_to_its_end(run: Run) -> None:
    def over() -> bool:
        if run.snapshot()["status"] in {"paused", "pausing"}:
            run.control("resume")
        return run.snapshot()["status"] in {"completed", "cancelled"}

    eventually(over)

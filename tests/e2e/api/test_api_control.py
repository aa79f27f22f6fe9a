"""Control over HTTP, by `/control` and by a path for each action."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.e2e.api.api_checks import problem, refused
from tests.service import Run, Service, eventually

Control = Callable[[Run, str, dict[str, Any]], httpx.Response]


def by_control(run: Run, action: str, options: dict[str, Any]) -> httpx.Response:
    return run.control(action, **options)


def by_path(run: Run, action: str, options: dict[str, Any]) -> httpx.Response:
    return run.service.http.post(f"{run.path}/{action}", json=options)


def by_path_without_body(run: Run, action: str, _: dict[str, Any]) -> httpx.Response:
    return run.service.http.post(f"{run.path}/{action}")


@pytest.fixture(params=[by_control, by_path, by_path_without_body])
def control(request: pytest.FixtureRequest) -> Control:
    return request.param


def accepted(answer: httpx.Response, run: Run, action: str, status: str) -> None:
    assert answer.status_code == 202, answer.text
    assert answer.json() == {"run_id": run.id, "action": action, "status": status}
    assert run.snapshot()["status"] in {status, {"pausing": "paused", "cancelling": "cancelled"}.get(status)}


def illegal(answer: httpx.Response, status: str) -> None:
    body = problem(answer, 409, "invalid_transition")
    assert body["run_status"] == status
    assert status in body["detail"]


def test_pause_resume_and_cancel_and_what_is_illegal_meanwhile(service: Service, control: Control):
    run = service.start("while test ! -e go; do sleep 0.02; done; rm go", max_turns=None)
    run.event("turn_started")  # a pause before it holds the run before its first turn
    illegal(control(run, "resume", {}), "running")
    accepted(control(run, "pause", {}), run, "pause", "pausing")
    accepted(control(run, "pause", {}), run, "pause", "pausing")
    accepted(control(run, "resume", {}), run, "resume", "running")
    illegal(control(run, "resume", {}), "running")
    accepted(control(run, "pause", {}), run, "pause", "pausing")
    (run.dir / "go").touch()
    assert run.wait("paused")["stats"]["turns"] == 1
    accepted(control(run, "pause", {}), run, "pause", "paused")
    accepted(control(run, "resume", {}), run, "resume", "running")
    eventually(lambda: run.snapshot()["current_turn"] == 2)
    accepted(control(run, "cancel", {}), run, "cancel", "cancelling")
    run.wait("cancelled")
    for action in ("pause", "resume", "cancel"):
        illegal(control(run, action, {}), "cancelled")
    types = [event["type"] for event in run.events()]
    assert [type_ for type_ in types if type_.startswith("run_")] == [
        *("run_queued", "run_started", "run_pausing", "run_resumed", "run_pausing", "run_paused", "run_resumed"),
        *("run_cancelling", "run_cancelled"),
    ]


def test_every_control_is_illegal_once_a_run_is_over(service: Service, control: Control):
    completed = service.start("true")
    completed.wait("completed")
    failed = service.start("exit 1", turn_attempts=1)
    eventually(lambda: failed.snapshot()["status"] == "failed")
    for run, status in ((completed, "completed"), (failed, "failed")):
        for action in ("pause", "resume", "cancel"):
            illegal(control(run, action, {}), status)
        assert run.snapshot()["status"] == status


def test_control_is_accepted_and_seen_without_a_worker(service: Service, control: Control):
    with service.frozen("worker"):
        run = service.start("true", max_turns=1)
        illegal(control(run, "resume", {}), "queued")
        accepted(control(run, "pause", {}), run, "pause", "pausing")
        accepted(control(run, "cancel", {}), run, "cancel", "cancelling")
        accepted(control(run, "cancel", {}), run, "cancel", "cancelling")
        illegal(control(run, "pause", {}), "cancelling")
        illegal(control(run, "resume", {}), "cancelling")
    snapshot = run.wait("cancelled")
    assert snapshot["stats"]["turns"] == 0
    assert [event["type"] for event in run.events()].count("run_cancelled") == 1


def test_the_reason_is_in_the_log(service: Service):
    run = service.start("sleep 60")
    run.event("turn_started")
    run.control("pause", reason="lunch – at once", mode="now").raise_for_status()
    run.wait("paused")
    service.http.post(f"{run.path}/cancel").raise_for_status()
    run.wait("cancelled")
    reasons = {event["type"]: event["payload"].get("reason") for event in run.events()}
    assert reasons["run_pausing"] == reasons["run_paused"] == "lunch – at once"
    assert reasons["run_cancelling"] == reasons["run_cancelled"] == "manual"
    aborted = [event for event in run.events() if event["type"] == "turn_aborted_by_user"]
    assert len(aborted) == 1


@pytest.mark.parametrize("action", ["control", "pause", "resume", "cancel"])
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"mode": "soon"}, "mode"),
        ({"mode": None}, "mode"),
        ({"mode": True}, "mode"),
        ({"reason": 3}, "reason"),
        ({"reason": "a\0b"}, "reason"),
        ({"reason": "x" * 2001}, "reason"),
        ({"door": 1}, "door"),
        ({"data": 1}, "data"),
        ([], "body"),
        ("pause", "body"),
        (7, "body"),
    ],
)
def test_a_bad_control_is_refused(done: Run, action: str, body: Any, field: str):
    if action == "control" and isinstance(body, dict):
        body = {"action": "pause", **body}
    refused(done.service.http.post(f"{done.path}/{action}", json=body), field)


def test_a_bad_action_is_refused(done: Run):
    for action in (None, "", "stop", "PAUSE", 1, ["pause"], "pause\0"):
        refused(done.control(action), "action")  # pyright: ignore[reportArgumentType]
    refused(done.service.http.post(f"{done.path}/control", json={}), "action")
    refused(done.service.http.post(f"{done.path}/control"), "body")
    refused(done.service.http.post(f"{done.path}/pause", json={"action": "pause"}), "action")


def test_control_of_a_run_that_is_not_there_is_404(service: Service):
    problem(service.http.post("/api/runs/nope/control", json={"action": "pause"}), 404, "run_not_found")
    for action in ("pause", "resume", "cancel"):
        problem(service.http.post(f"/api/runs/nope/{action}"), 404, "run_not_found")

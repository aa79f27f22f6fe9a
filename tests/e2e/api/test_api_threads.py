"""Threads over HTTP: a conversation over runs, and one run at a time."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.api.api_checks import problem
from tests.e2e.api.api_schema import Document
from tests.service import Run, Service

WAIT = "echo $CODY_RUN_ID; while [ ! -e go ]; do sleep 0.02; done"


def held(service: Service, thread_id: str, **options: Any) -> Run:
    """A run of one turn that ends when `go` is there."""
    run = service.start(WAIT, single=True, prompt="", thread_id=thread_id, **options)
    run.event("turn_started")
    return run


def busy(service: Service, run: Run, thread_id: str) -> None:
    answer = service.post({**service.body("true"), "prompt": "", "thread_id": thread_id}, single=True)
    body = problem(answer, 409, "thread_busy")
    assert body["run_id"] == run.id
    assert run.id in body["detail"]


def test_a_thread_has_one_run_at_a_time(service: Service):
    run = held(service, "busy-1")
    busy(service, run, "busy-1")
    run.control("pause").raise_for_status()
    busy(service, run, "busy-1")
    other = service.start("true", single=True, prompt="", thread_id="busy-2")
    other.wait("completed")
    (run.dir / "go").touch()
    with run.stream() as stream:
        assert stream.until(lambda frame: frame.event == "run_completed")
    # Who reads the terminal event can go on with the thread at once.
    second = service.start("true", single=True, prompt="", thread_id="busy-1")
    second.wait("completed")
    thread = service.http.get("/api/threads/busy-1").json()
    assert [response["run_id"] for response in thread["responses"]] == [run.id, second.id]


@pytest.mark.parametrize("how", ["cancelled", "failed"])
def test_however_a_run_ends_its_thread_is_free(how: str, service: Service):
    run = service.start(WAIT + "; exit 127", single=True, prompt="", thread_id=f"free-{how}")
    run.event("turn_started")
    busy(service, run, f"free-{how}")
    if how == "cancelled":
        run.cancel()
    else:
        (run.dir / "go").touch()
        run.wait("failed")
    service.start("true", single=True, prompt="", thread_id=f"free-{how}").wait("completed")


def test_a_continuous_run_has_its_thread_to_itself_and_can_be_gone_on_with(service: Service):
    run = service.start(WAIT, max_turns=2)
    thread_id = run.accepted["thread_id"]
    run.event("turn_started")
    busy(service, run, thread_id)
    (run.dir / "go").touch()
    run.wait("completed")
    after = service.start("echo after", single=True, prompt="", thread_id=thread_id)
    after.wait("completed")
    told = service.http.get(f"/api/threads/{thread_id}").json()["responses"]
    assert [(each["run_id"], each["turn"]) for each in told] == [(run.id, 1), (run.id, 2), (after.id, 1)]
    assert {each["thread_id"] for each in told} == {thread_id}


def test_the_same_key_gives_the_run_that_has_the_thread(service: Service):
    body = {**service.body(WAIT), "prompt": "", "thread_id": "busy-key"}
    first = service.post(body, single=True, key="busy-key")
    again = service.post(body, single=True, key="busy-key")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json()["run_id"] == first.json()["run_id"]
    problem(service.post({**body, "prompt": "else"}, single=True, key="busy-key"), 409, "idempotency_conflict")
    assert "run_id" not in service.post({**body, "prompt": "else"}, single=True, key="busy-key").json()
    problem(service.post(body, single=True, key="busy-key-2"), 409, "thread_busy")
    service.http.post(f"{first.headers['location']}/cancel").raise_for_status()


def test_of_twenty_at_once_one_has_the_thread(service: Service):
    body = {**service.body(WAIT), "prompt": "", "thread_id": "busy-20"}
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: service.post(body, single=True), range(20)))
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 19
    (accepted,) = (answer for answer in answers if answer.status_code == 202)
    run_id = accepted.json()["run_id"]
    assert {answer.json()["run_id"] for answer in answers} == {run_id}
    service.http.post(f"/api/runs/{run_id}/cancel").raise_for_status()


def test_the_refusal_is_as_documented(service: Service):
    document = Document(service.http.get("/schema/openapi.json").json())
    told = document.operation("POST", "/api/runs")["responses"]["409"]
    assert "`thread_busy`" in told["description"]
    schema = told["content"]["application/problem+json"]["schema"]
    run = held(service, "busy-doc")
    answer = service.post({**service.body("true"), "prompt": "", "thread_id": "busy-doc"}, single=True)
    assert document.faults(schema, answer.json()) == []
    assert "run_id" not in document.resolve(schema["$ref"])["required"]
    run.cancel()


def test_a_single_run_is_a_run_like_any_other(service: Service):
    run = service.start("cat; echo; echo $CODY_TURN.$CODY_ATTEMPT", single=True, prompt="As it is.\n")
    snapshot = run.wait("completed")
    events = run.events()
    assert [event["type"] for event in events if event["type"].startswith("run_")] == [
        "run_queued", "run_started", "run_completed"
    ]  # fmt: skip
    assert events[-1]["payload"]["reason"] == "single_turn"
    (turn_completed,) = (event for event in events if event["type"] == "turn_completed")
    assert turn_completed["payload"]["should_continue"] is False
    assert (snapshot["kind"], snapshot["current_turn"], snapshot["stats"]["turns"]) == ("single", 1, 1)
    assert (snapshot["budget"], snapshot["metadata"]) == (None, {})
    (response,) = run.responses()
    assert (response["status"], response["thread_id"]) == ("complete", run.accepted["thread_id"])
    assert response["output_items"][0]["content"] == "As it is.\n\n1.1\n"
    assert service.http.get(f"{run.path}/turns/1/prompt").text == "As it is.\n"
    assert run.id in {each["run_id"] for each in service.listed()}


def test_a_single_run_can_be_interrupted_and_gone_on_with(service: Service):
    run = service.start("[ $CODY_ATTEMPT = 2 ] || exec sleep 600", single=True, prompt="")
    run.event("turn_started")
    run.control("pause", mode="now").raise_for_status()
    run.wait("paused")
    run.control("resume").raise_for_status()
    assert run.wait("completed")["attempt"] == 2

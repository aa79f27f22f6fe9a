"""Snapshots, the listing, and the documents that a run leaves."""

import time

import pytest

from tests.e2e.api.api_checks import SNAPSHOT, links, problem, refused
from tests.service import Run, Service, eventually


def test_snapshot_of_a_completed_run_to_the_letter(done: Run):
    snapshot = done.snapshot()
    assert snapshot.keys() == SNAPSHOT
    assert snapshot == done.service.http.get(f"{done.path}/status").json()
    temporal = snapshot["links"].pop("temporal")
    assert temporal.endswith(f"/namespaces/default/workflows/{done.id}")
    created, started, updated = (snapshot.pop(f"{name}_at") for name in ("created", "started", "updated"))
    assert all(isinstance(at, int) for at in (created, started, updated))
    assert created <= started <= updated <= time.time() * 1000
    assert snapshot.pop("cursor").startswith(f"{len(done.events()) - 1}-")
    assert snapshot == {
        "run_id": done.id,
        "kind": "continuous",
        "status": "completed",
        "epic_id": "done",
        "agent": "command",
        "model": "sh",
        "working_dir": str(done.dir),
        "thread_id": done.accepted["thread_id"],
        "finished_at": updated,
        "current_turn": 3,
        "attempt": 1,
        "pid": None,
        "stats": {"turns": 3, "tokens": 30, "prompt_tokens": 21, "completion_tokens": 9},
        "completion": {"detected": False},
        "budget": {"max_tokens": 1000},
        "metadata": {"who": "e2e"},
        "links": links(done.id),
    }


def test_snapshot_before_the_first_turn_has_nulls_for_what_is_not_there(service: Service):
    with service.frozen("worker"):
        run = service.start("true")
        snapshot = run.snapshot()
    assert snapshot.keys() == SNAPSHOT
    for name in ("epic_id", "started_at", "finished_at", "pid", "budget", "cursor"):
        assert snapshot[name] is None, name
    assert (snapshot["current_turn"], snapshot["attempt"], snapshot["metadata"]) == (0, 0, {})
    assert snapshot["stats"] == {"turns": 0, "tokens": 0, "prompt_tokens": 0, "completion_tokens": 0}
    assert snapshot["completion"] == {"detected": False}
    assert snapshot["updated_at"] == snapshot["created_at"]
    run.wait("completed")


def test_snapshot_while_a_turn_goes_on(service: Service):
    run = service.start("sleep 60")
    started = run.event("turn_started")
    eventually(lambda: run.snapshot()["pid"] == started["payload"]["pid"])
    snapshot = run.snapshot()
    assert (snapshot["status"], snapshot["current_turn"], snapshot["attempt"]) == ("running", 1, 1)
    assert isinstance(snapshot["started_at"], int)
    assert snapshot["finished_at"] is None
    assert run.responses()[0]["status"] == "in_progress"
    ended = run.cancel()
    assert ended["pid"] is None
    assert ended["finished_at"] >= ended["started_at"]


def test_snapshot_of_a_failed_run_has_its_error(service: Service):
    run = service.start("exit 7", turn_attempts=1)
    eventually(lambda: run.snapshot()["status"] == "failed")
    snapshot = run.snapshot()
    assert snapshot.keys() == SNAPSHOT | {"error"}
    assert snapshot["error"]["code"] == "agent_exit"
    assert snapshot["error"]["retryable"] is True
    assert snapshot["error"]["details"]["exit_code"] == 7
    assert run.events()[-1]["payload"]["error"] == snapshot["error"]


def test_snapshot_says_what_completed_the_run(service: Service):
    run = service.start("echo ALL DONE >> log.md", completion={"log": "log.md", "pattern": "^ALL DONE$"}, max_turns=5)
    assert run.wait("completed")["completion"] == {"detected": True, "source": "pattern", "line": "ALL DONE"}
    run = service.start("touch stop-here", completion={"stop_file": "stop-here"}, max_turns=5)
    completion = run.wait("completed")["completion"]
    assert (completion["detected"], completion["source"]) == (True, "stop_file")


# The listing.


def test_listing_is_newest_first_and_filtered(service: Service):
    runs = [service.start("true", epic_id="filtered") for _ in range(3)]
    for run in runs:
        run.wait("completed")
    ids = [run.id for run in reversed(runs)]
    assert [each["run_id"] for each in service.listed(epic_id="filtered")] == ids
    assert [each["run_id"] for each in service.listed(epic_id="filtered", status="completed", agent="command")] == ids
    assert not list(service.listed(epic_id="filtered", status="running"))
    assert not list(service.listed(epic_id="filtered", agent="codex"))
    assert not list(service.listed(epic_id="nobody"))
    snapshot = next(service.listed(epic_id="filtered"))
    assert snapshot == runs[-1].snapshot()


def test_pages_follow_each_other_without_gap_or_repetition(service: Service):
    with service.frozen("worker"):  # so that they come in one rush
        runs = [service.start("true", epic_id="pages") for _ in range(25)]
        ids = [run.id for run in reversed(runs)]
        for limit in (1, 7, 24, 25, 100):
            assert [each["run_id"] for each in service.listed(epic_id="pages", limit=limit)] == ids
        first = service.http.get("/api/runs", params={"epic_id": "pages"}).json()
        assert first.keys() == {"runs", "next_cursor"}
        assert len(first["runs"]) == 20
        newer = service.start("true", epic_id="pages")
        rest = service.http.get("/api/runs", params={"epic_id": "pages", "cursor": first["next_cursor"]}).json()
        assert [each["run_id"] for each in rest["runs"]] == ids[20:]
        assert rest["next_cursor"] is None
        assert next(service.listed(epic_id="pages"))["run_id"] == newer.id
        for run in runs[5:]:
            run.control("cancel").raise_for_status()
        # A control that was answered with 202 counts at once, in filters too.
        assert len(list(service.listed(epic_id="pages", status="cancelling", limit=3))) == 20
        assert len(list(service.listed(epic_id="pages", status="queued", limit=3))) == 6
    for run in runs:
        run.wait("completed", "cancelled")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=abc", "limit"),
        ("limit=", "limit"),
        ("limit=1.5", "limit"),
        ("limit=99999999999999999999999999", "limit"),
        ("limit=%00", "limit"),
        ("limit=%ff", "limit"),
        ("status=nope", "status"),
        ("status=", "status"),
        ("status=RUNNING", "status"),
        ("status=%00", "status"),
        ("cursor=zzz", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=%ff%fe", "cursor"),
        ("cursor=OjpfXw", "cursor"),
        ("cursor=" + "A" * 5000, "cursor"),
    ],
)
def test_a_bad_query_is_refused(service: Service, query: str, field: str):
    refused(service.http.get(f"/api/runs?{query}"), field)


@pytest.mark.parametrize("query", ["epic_id=%00", "agent=%00", "agent=%ff", "epic_id=", "cursor=LTU6eA", "cursor=MToA"])
def test_a_query_that_nothing_answers_to_gives_an_empty_page(service: Service, query: str):
    answer = service.http.get(f"/api/runs?{query}")
    assert (answer.status_code, answer.json()) == (200, {"runs": [], "next_cursor": None})


# The documents.


def test_responses_of_a_run_are_in_turn_order_and_whole(done: Run):
    responses = done.responses()
    assert [response["turn"] for response in responses] == [1, 2, 3]
    terminal = len(done.events())
    for response in responses:
        expected = {"id", "run_id", "turn", "attempt", "turn_id", "thread_id", "model_id", "provider_id"}
        expected |= {"created_at", "updated_at", "status", "output_items", "finish_reason", "cursor"}
        assert response.keys() >= expected
        assert response.keys() - expected <= {"usage", "agent_id"}
        assert (response["run_id"], response["thread_id"]) == (done.id, done.accepted["thread_id"])
        assert (response["status"], response["provider_id"], response["model_id"]) == ("complete", "command", "sh")
        assert [item["content"] for item in response["output_items"]] == [f"turn {response['turn']}\n"]
        assert int(response["cursor"].partition("-")[0]) < terminal
        assert done.service.http.get(f"/api/responses/{response['id']}").json() == response
    assert done.service.http.get(f"/api/threads/{done.accepted['thread_id']}").json() == {
        "thread_id": done.accepted["thread_id"],
        "responses": responses,
    }


def test_a_run_without_a_turn_has_no_responses_but_a_thread(service: Service):
    with service.frozen("worker"):
        run = service.start("true")
        assert run.responses() == []
        thread = run.accepted["thread_id"]
        assert service.http.get(f"/api/threads/{thread}").json() == {"thread_id": thread, "responses": []}
    run.wait("completed")


def test_output_and_prompt_of_every_attempt(service: Service):
    script = """
    cat > /dev/null; echo "attempt $CODY_ATTEMPT ä"; echo oops >&2; test "$CODY_ATTEMPT" = 2
    """
    run = service.start(script, prompt="Do it – now", turn_attempts=2)
    run.wait("completed")
    turn = f"{run.path}/turns/1"
    for query, attempt in (("", 2), ("?attempt=2", 2), ("?attempt=1", 1)):
        output = service.http.get(f"{turn}/output{query}")
        assert output.headers["content-type"] == "text/plain; charset=utf-8"
        assert sorted(output.text.splitlines()) == [f"attempt {attempt} ä", "oops"]
        prompt = service.http.get(f"{turn}/prompt{query}")
        assert prompt.headers["content-type"] == "text/plain; charset=utf-8"
        assert "Do it – now" in prompt.text
    for what in ("prompt", "output"):
        for path in ("/turns/1/%s?attempt=3", "/turns/1/%s?attempt=999", "/turns/2/%s", "/turns/0/%s"):
            problem(service.http.get(run.path + path % what), 404, "turn_not_found")
        problem(service.http.get(f"{run.path}/turns/99999999999999999999/{what}"), 404, "turn_not_found")
        for bad in ("0", "1000", "-1", "x", "", "99999999999999999999", "%00"):
            refused(service.http.get(f"{turn}/{what}?attempt={bad}"), "attempt")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/runs/nope", "run_not_found"),
        ("/api/runs/nope/status", "run_not_found"),
        ("/api/runs/nope/responses", "run_not_found"),
        ("/api/runs/nope/stream", "run_not_found"),
        ("/api/runs/nope/turns/1/output", "run_not_found"),
        ("/api/runs/nope/turns/1/prompt", "run_not_found"),
        ("/api/responses/nope", "response_not_found"),
        ("/api/threads/nope", "thread_not_found"),
    ],
)
def test_what_is_not_there_is_404(service: Service, path: str, code: str):
    problem(service.http.get(path), 404, code)

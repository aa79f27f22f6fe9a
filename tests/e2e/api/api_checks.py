"""What every answer of the API has to look like, and requests that are almost right."""

from typing import Any

import httpx

PROBLEM = "application/problem+json"
SNAPSHOT = frozenset(
    {
        *("run_id", "kind", "status", "epic_id", "agent", "model", "working_dir", "thread_id", "links"),
        *("created_at", "started_at", "updated_at", "finished_at", "current_turn", "attempt", "pid"),
        *("stats", "completion", "budget", "metadata", "cursor"),
    }
)
LINKS = frozenset({"self", "status", "stream", "control", "responses", "temporal"})
TERMINAL = frozenset({"run_completed", "run_failed", "run_cancelled"})


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The body of an error, which is whole and says the same as its status line."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].partition(";")[0] == PROBLEM
    body = answer.json()
    assert body.keys() >= {"type", "title", "status", "detail", "code"}
    assert (body["status"], body["code"]) == (status, code), body
    assert all(isinstance(body[name], str) and body[name] for name in ("type", "title", "detail", "code"))
    for fault in body.get("errors", []):
        assert fault.keys() == {"field", "message"}
        assert fault["field"]
        assert fault["message"]
    return body


def refused(answer: httpx.Response, field: str, code: str = "invalid_request") -> None:
    """A 400 that names this field, and only it."""
    body = problem(answer, 400, code)
    assert [fault["field"] for fault in body["errors"]] == [field], body
    assert field in body["detail"]


def links(run_id: str) -> dict[str, str]:
    """The links of a run, but for the one to Temporal's pages."""
    here = f"/api/runs/{run_id}"
    rest = {name: f"{here}/{name}" for name in LINKS - {"self", "temporal"}}
    return {"self": here, **rest}

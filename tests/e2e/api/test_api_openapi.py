"""The OpenAPI document says what the service does: checked against real exchanges."""

from typing import Any

import httpx
import pytest

from tests.e2e.api.api_checks import LINKS, PROBLEM, SNAPSHOT
from tests.e2e.api.api_schema import Document
from tests.service import Run, Service

RUN = "/api/runs/{run_id}"
TURN = RUN + "/turns/{turn}"
CONTROL = {"202", "400", "404", "409", "413", "503"}
LOOK = {"200", "404", "503"}
ROUTES: dict[tuple[str, str], set[str]] = {
    ("POST", "/api/runs/continuous"): {"202", "400", "409", "413", "503"},
    ("POST", "/api/runs"): {"202", "400", "409", "413", "503"},
    ("GET", "/api/runs"): {"200", "400", "503"},
    ("GET", RUN): LOOK,
    ("GET", RUN + "/status"): LOOK,
    **{("POST", f"{RUN}/{action}"): CONTROL for action in ("control", "pause", "resume", "cancel")},
    ("GET", RUN + "/responses"): LOOK,
    ("GET", "/api/responses/{response_id}"): LOOK,
    ("GET", "/api/threads/{thread_id}"): LOOK,
    ("GET", TURN + "/prompt"): {*LOOK, "400"},
    ("GET", TURN + "/output"): {*LOOK, "400"},
    ("GET", RUN + "/stream"): {"200", "204", "400", "404", "409", "410", "503"},
    ("GET", "/health/live"): {"200"},
    ("GET", "/health/ready"): {"200", "503"},
    ("GET", "/metrics"): {"200"},
}


@pytest.fixture(scope="module")
def document(service: Service) -> Document:
    answer = service.http.get("/schema/openapi.json")
    assert answer.status_code == 200
    assert "json" in answer.headers["content-type"]
    assert service.http.get("/schema/openapi.json").content == answer.content
    return Document(answer.json())


def schema_of(document: Document, method: str, path: str, status: int, kind: str = "application/json") -> Any:
    return document.operation(method, path)["responses"][str(status)]["content"][kind]["schema"]


def fits(document: Document, method: str, path: str, answer: httpx.Response) -> None:
    """The answer is documented, and its body is as documented."""
    kind = answer.headers["content-type"].partition(";")[0]
    schema = schema_of(document, method, path, answer.status_code, kind)
    assert document.faults(schema, answer.json()) == []


def test_the_document_is_openapi_3_1_and_whole(document: Document):
    assert document.document["openapi"].startswith("3.1.")
    assert document.document["info"].keys() >= {"title", "version"}
    refs = document.refs()
    assert refs
    for ref in refs:
        assert isinstance(document.resolve(ref), dict)
    operations = [each for path in document.document["paths"].values() for each in path.values()]
    assert len({each["operationId"] for each in operations}) == len(operations)
    for path, methods in document.document["paths"].items():
        named = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        for operation in methods.values():
            given = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
            assert given == named
            assert all("schema" in each for each in operation.get("parameters", []))


def test_every_route_and_status_is_documented(document: Document):
    there = {(method.upper(), path) for path, item in document.document["paths"].items() for method in item}
    assert there == ROUTES.keys()
    for (method, path), statuses in ROUTES.items():
        answers = document.operation(method, path)["responses"]
        assert answers.keys() >= statuses, (method, path)
        for status, answer in answers.items():
            assert answer["description"]
            if int(status) >= 400:
                assert answer["content"].keys() == {PROBLEM}, (method, path, status)
            for content in answer.get("content", {}).values():
                assert content["schema"]
        if "503" in answers:
            assert "Retry-After" in answers["503"]["headers"]
    stream = document.operation("GET", RUN + "/stream")["responses"]
    assert stream["200"]["content"].keys() == {"text/event-stream"}
    assert "content" not in stream["204"]


def test_headers_are_documented(document: Document):
    def parameters(method: str, path: str, where: str) -> dict[str, Any]:
        return {each["name"]: each for each in document.operation(method, path)["parameters"] if each["in"] == where}

    for path in ("/api/runs", "/api/runs/continuous"):
        assert parameters("POST", path, "header").keys() == {"Idempotency-Key", "traceparent", "tracestate"}
        assert "Location" in document.operation("POST", path)["responses"]["202"]["headers"]
    assert parameters("GET", RUN + "/stream", "header").keys() == {"Last-Event-ID"}
    assert parameters("GET", RUN + "/stream", "query").keys() == {"from", "types", "heal"}
    assert parameters("GET", "/api/runs", "query").keys() == {"status", "epic_id", "agent", "limit", "cursor"}
    assert parameters("GET", TURN + "/output", "query").keys() == {"attempt"}
    operations = (document.operation(method, path) for method, path in ROUTES)
    given = [each for operation in operations for each in operation.get("parameters", []) if each["in"] != "path"]
    assert not any(each["required"] for each in given)


def test_what_is_required_and_what_may_be_null(document: Document):
    schemas = document.document["components"]["schemas"]
    snapshot = schemas["Snapshot"]
    assert set(snapshot["required"]) == SNAPSHOT
    assert snapshot["properties"].keys() == SNAPSHOT | {"error"}
    nullable = {"epic_id", "model", "working_dir", "started_at", "finished_at", "pid", "budget", "cursor"}
    assert {name for name, field in snapshot["properties"].items() if not document.faults(field, None)} >= nullable
    assert document.faults(snapshot["properties"]["run_id"], None)
    assert document.faults(snapshot["properties"]["status"], "done")
    assert set(schemas["Links"]["required"]) == schemas["Links"]["properties"].keys() == LINKS
    assert {"type", "title", "status", "detail", "code"} <= set(schemas["Problem"]["required"])
    assert "errors" not in schemas["Problem"]["required"]
    assert {"earliest_cursor", "latest_cursor", "responses"} <= set(schemas["CursorProblem"]["required"])
    assert set(schemas["ContinuousRunRequest"]["required"]) == {"agent"}
    assert set(schemas["SingleRunRequest"]["required"]) == {"agent", "prompt"}
    assert set(schemas["ControlRequest"]["required"]) == {"action"}
    defaults = {name: field.get("default") for name, field in schemas["ContinuousRunRequest"]["properties"].items()}
    wanted = {"loop_delay_seconds": 0, "turn_timeout_seconds": 3600, "turn_attempts": 3, "max_turns": None}
    assert {name: defaults[name] for name in wanted} == wanted
    completion = schemas["CompletionSpec"]["properties"]
    assert (completion["scan_tail_lines"]["default"], completion["stop_file"]["default"]) == (50, ".stop")
    bodies = {path: document.operation("POST", path)["requestBody"] for method, path in ROUTES if method == "POST"}
    optional = {f"{RUN}/{action}" for action in ("pause", "resume", "cancel")}
    assert {path for path, body in bodies.items() if not body.get("required")} == optional


def test_real_exchanges_are_as_documented(document: Document, service: Service, done: Run):
    body = {
        **service.body("cat; echo one", max_turns=1, epic_id="schema"),
        "prompt": {"template": "x", "state_files": ["a.md"], "reference_files": ["b.md"]},
        "completion": {"log": "a.md", "pattern": "^x$", "scan_tail_lines": 3, "stop_file": "s"},
        "budget": {"max_tokens": 5, "max_duration_seconds": 60.5},
        "watch": {"logs": ["a.md"], "include": ["**/*"], "exclude": []},
        "env": {"A": "b"},
        "metadata": {"c": "d"},
    }
    request = document.operation("POST", "/api/runs/continuous")["requestBody"]["content"]["application/json"]["schema"]
    assert document.faults(request, body) == []
    for change in ({"max_turns": "3"}, {"nope": 1}, {"agent": {"kind": "x"}}, {"env": {"A": 1}}, {"epic_id": "a b"}):
        assert document.faults(request, {**body, **change}), change
        fits(document, "POST", "/api/runs/continuous", service.post({**body, **change}))
    started = service.post(body, key="schema")
    fits(document, "POST", "/api/runs/continuous", started)
    fits(document, "POST", "/api/runs/continuous", service.post({**body, "max_turns": 2}, key="schema"))

    single = {**service.body("true"), "prompt": "x", "thread_id": "t"}
    request = document.operation("POST", "/api/runs")["requestBody"]["content"]["application/json"]["schema"]
    assert document.faults(request, single) == []
    fits(document, "POST", "/api/runs", service.post(single, single=True))

    fits(document, "GET", "/api/runs", service.http.get("/api/runs"))
    fits(document, "GET", "/api/runs", service.http.get("/api/runs?limit=0"))
    for path in (RUN, RUN + "/status", RUN + "/responses"):
        fits(document, "GET", path, service.http.get(path.format(run_id=done.id)))
        fits(document, "GET", path, service.http.get(path.format(run_id="nope")))
    one = done.responses()[0]["id"]
    fits(document, "GET", "/api/responses/{response_id}", service.http.get(f"/api/responses/{one}"))
    thread = f"/api/threads/{done.accepted['thread_id']}"
    fits(document, "GET", "/api/threads/{thread_id}", service.http.get(thread))
    fits(document, "GET", TURN + "/output", service.http.get(f"{done.path}/turns/9/output"))
    fits(document, "GET", TURN + "/output", service.http.get(f"{done.path}/turns/1/output?attempt=0"))
    fits(document, "GET", RUN + "/stream", service.http.get(f"{done.path}/stream?from=x"))
    fits(document, "GET", RUN + "/stream", service.http.get(f"{done.path}/stream?from=999"))
    fits(document, "GET", "/health/live", service.http.get("/health/live"))
    fits(document, "GET", "/health/ready", service.http.get("/health/ready"))
    for action in ("pause", "resume", "cancel"):
        fits(document, "POST", f"{RUN}/{action}", service.http.post(f"{done.path}/{action}"))
    fits(document, "POST", f"{RUN}/control", done.control("pause"))


def test_a_failed_run_and_a_control_are_as_documented(document: Document, service: Service):
    run = service.start("while test ! -e go; do sleep 0.02; done; exit 3", turn_attempts=1)
    run.wait("running")
    control = document.operation("POST", f"{RUN}/control")["requestBody"]["content"]["application/json"]["schema"]
    assert document.faults(control, {"action": "pause", "mode": "now", "reason": "x"}) == []
    assert document.faults(control, {"action": "stop"})
    fits(document, "POST", f"{RUN}/control", run.control("pause"))
    fits(document, "POST", f"{RUN}/resume", service.http.post(f"{run.path}/resume", json={"reason": "x"}))
    (run.dir / "go").touch()
    assert run.events()[-1]["type"] == "run_failed"
    for path in (RUN, RUN + "/responses"):
        fits(document, "GET", path, service.http.get(path.format(run_id=run.id)))

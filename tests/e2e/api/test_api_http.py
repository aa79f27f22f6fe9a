"""Paths and methods that are none: always a problem, never a crash."""

import pytest

from tests.e2e.api.api_checks import problem
from tests.service import Run, Service

NOWHERE = """
/ /nope /api /api/nope /api/runs/x/nope /schema/nope /schema/swagger /health /health/x
/api/runs/a/b /api/runs/a%2Fb /api/runs/a%2fb/status /api/runs/%2e%2e/%2e%2e /api/runs/x/turns/y/output
/api/responses /api/threads /api/responses/a/b /api/threads/a%2Fb /api/runs/x/turns/1.5/prompt
"""
IDS = """
.. . %2e%2e %00 %ff %ed%a0%80 % %zz {x} * %20 '%20OR%201=1 a:b run_ %F0%9F%98%80 a%0Ab a%0D%0AX-Evil:%201 __proto__ -1
"""


@pytest.mark.parametrize("path", NOWHERE.split())
def test_a_path_that_is_none_is_404(service: Service, path: str):
    with service.open(path) as answer:
        assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json"), answer.body()
    problem(service.http.get(path), 404, "not_found")


@pytest.mark.parametrize("route", ["/api/runs/%s", "/api/responses/%s", "/api/threads/%s", "/api/runs/%s/stream"])
@pytest.mark.parametrize("name", [*IDS.split(), "x" * 10_000])
def test_an_id_that_is_none_is_404(service: Service, route: str, name: str):
    with service.open(route % name) as answer:
        assert answer.status == 404, answer.body()
        assert answer.headers["content-type"] == "application/problem+json"
        assert b'_not_found"' in answer.body()
        assert "x-evil" not in answer.headers


def test_a_wrong_method_is_405_with_what_is_allowed(done: Run):
    routes = {
        "/api/runs": {"GET", "POST"},
        "/api/runs/continuous": {"POST"},
        done.path: {"GET"},
        **{
            f"{done.path}/{what}": {"GET"}
            for what in ("status", "responses", "stream", "turns/1/output", "turns/1/prompt")
        },
        **{f"{done.path}/{what}": {"POST"} for what in ("control", "pause", "resume", "cancel")},
        **{path: {"GET"} for path in ("/health/live", "/health/ready", "/metrics", "/schema/openapi.json")},
    }
    for path, methods in routes.items():
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - methods:
            answer = done.service.http.request(method, path)
            if (method, path) == ("GET", "/api/runs/continuous"):
                assert answer.status_code in {404, 405}
                continue
            problem(answer, 405, "method_not_allowed")
            assert set(answer.headers["allow"].split(", ")) - {"OPTIONS", "HEAD"} == methods, (method, path)
    assert done.snapshot()["status"] == "completed"


def test_head_and_options_do_not_crash(done: Run):
    for path in (
        "/",
        "/api/runs",
        done.path,
        f"{done.path}/stream",
        f"{done.path}/control",
        "/health/live",
        "/metrics",
    ):
        for method in ("HEAD", "OPTIONS"):
            answer = done.service.http.request(method, path)
            assert answer.status_code < 500
            assert method == "OPTIONS" or not answer.content


def test_many_headers_and_queries_do_not_crash(service: Service):
    for params in ({"x" * 5000: "y"}, {f"a{number}": "b" for number in range(500)}):
        assert service.http.get("/api/runs", params=params).status_code < 500
    assert service.http.get("/api/runs", headers={"X-Long": "y" * 10_000}).status_code < 500

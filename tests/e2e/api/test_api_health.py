"""Whether the service and its parts are up, what it answers when one is not, and its figures."""

import sqlite3
from contextlib import closing

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.api.api_checks import problem
from tests.service import Service, eventually


def test_a_healthy_service(service: Service):
    for path in ("/health/live", "/health/ready"):
        answer = service.http.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_metrics_are_prometheus_text(service: Service):
    service.start("true").wait("completed")
    answer = service.http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert answer.headers["content-type"].count("charset") == 1
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    runs = {sample.labels["status"]: sample.value for sample in families["cody_runs"].samples}
    assert runs["completed"] >= 1
    assert families["cody_hub_clients"].samples[0].value == 0


@pytest.mark.parametrize("part", ["redis", "temporal"])
def test_readiness_names_the_part_that_is_down_and_recovers(fragile: Service, part: str):
    run = fragile.start("while test ! -e go; do sleep 0.02; done")
    run.wait("running")
    with fragile.frozen(part):
        answer = eventually(lambda: _down(fragile), what=f"{part} down")
        assert part in problem(answer, 503, f"{part}_unavailable")["detail"]
        assert answer.headers["retry-after"]
        assert fragile.http.get("/health/live").status_code == 200
        # What only needs the database goes on.
        assert run.snapshot()["status"] == "running"
        assert next(iter(fragile.listed()))["run_id"] == run.id
        before = len(list(fragile.listed()))
        if part == "temporal":
            _temporal_away(fragile, run.path)
            assert len(list(fragile.listed())) == before
    eventually(lambda: fragile.http.get("/health/ready").status_code == 200)
    (run.dir / "go").touch()
    assert run.wait("completed")
    if part == "temporal":
        again = fragile.post({**fragile.body("true"), "working_dir": str(fragile.root), "max_turns": 1}, key="away")
        assert again.status_code == 202, again.text
        eventually(lambda: fragile.http.get(again.headers["location"]).json()["status"] == "completed")
        assert len(list(fragile.listed())) == before + 1


def test_every_part_that_is_down_is_named_and_the_figures_stay(fragile: Service):
    with closing(sqlite3.connect(fragile.data_dir / "cody.db", timeout=20, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with fragile.frozen("redis"), fragile.frozen("temporal"):
            eventually(lambda: _parts_down(fragile) == ["temporal", "redis", "database"])
            answer = fragile.http.get("/metrics")
            families = {family.name: family for family in text_string_to_metric_families(answer.text)}
            assert answer.status_code == 200
            assert {sample.value for sample in families["cody_part_up"].samples} == {0}
            assert "cody_runs" not in families
        eventually(lambda: _parts_down(fragile) == ["database"])
        list(fragile.listed())  # what only reads goes on
        other.execute("ROLLBACK")
    eventually(lambda: _parts_down(fragile) == [])
    assert fragile.start("true").wait("completed")


def test_a_redis_that_is_full_is_not_ready_until_it_has_room(fragile: Service):
    with fragile.redis() as redis:
        redis.config_set("maxmemory", "1")
        eventually(lambda: _parts_down(fragile) == ["redis"])
        assert redis.ping()
        redis.config_set("maxmemory", "0")
        eventually(lambda: _parts_down(fragile) == [])
        assert fragile.start("true").wait("completed")


def _parts_down(service: Service) -> list[str]:
    answer = service.http.get("/health/ready")
    if answer.status_code == 200:
        return []
    parts = answer.json()["parts"]
    assert problem(answer, 503, f"{parts[0]}_unavailable")["detail"].count(" is not available") == len(parts)
    return parts


def _down(service: Service):
    answer = service.http.get("/health/ready")
    return answer if answer.status_code == 503 else None


def _temporal_away(service: Service, path: str) -> None:
    """A start and a control whose outcome is unknown are 503; neither is half done."""
    body = {**service.body("true"), "working_dir": str(service.root), "max_turns": 1}
    answer = service.post(body, key="away")
    problem(answer, 503, "temporal_unavailable")
    assert answer.headers["retry-after"]
    answer = service.http.post(f"{path}/cancel")
    problem(answer, 503, "temporal_unavailable")
    assert service.http.get(path).json()["status"] == "running"


def test_a_part_that_was_killed_comes_back(fragile: Service):
    for part in ("api", "redis", "worker"):
        process = fragile.part(part)
        process.kill()
        eventually(lambda name=part, old=process.pid: fragile.part(name).pid != old)
    eventually(lambda: _ready(fragile))
    assert fragile.start("true").wait("completed")


def _ready(service: Service) -> bool:
    try:
        return service.http.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False

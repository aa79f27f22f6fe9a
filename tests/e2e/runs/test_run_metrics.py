"""The figures of a service, as Prometheus finds them, and the page that says what they mean."""

import re
from pathlib import Path

import httpx

from tests.e2e.conftest import OwnService
from tests.figures import Figures, scrape, targets
from tests.service import Run, Service, eventually

DOCUMENT = Path(__file__).parents[3] / "docs" / "metrics.md"
_ROW = re.compile(r"^\| `(cody_\w+)` \| (gauge|counter|histogram) \| (.*?) \|", re.MULTILINE)


def documented(*headings: str) -> dict[str, str]:
    """Name → type of the tables under these headings."""
    sections = DOCUMENT.read_text().split("\n## ")
    chosen = [section for section in sections if section.startswith(headings)]
    assert len(chosen) == len(headings)
    return {name: kind for section in chosen for name, kind, _ in _ROW.findall(section)}


def api(service: Service) -> Figures:
    return scrape(targets(service.data_dir)["api"])


def worker(service: Service) -> Figures:
    return scrape(targets(service.data_dir)["worker"])


def test_each_program_shows_what_is_documented_and_nothing_else(service: Service, done: Run):
    assert api(service).kinds == documented("The API", "Both")
    assert worker(service).kinds == documented("Workers", "Both")


def test_a_run_moves_the_workers_figures(service: Service):
    before = worker(service)
    run = service.start("sleep 0.2; echo hello; touch a.txt", max_turns=2)
    run.wait("completed")
    events = run.events()

    def told() -> Figures | None:
        now = worker(service)
        return now if now.value("cody_activities_running") == now.value("cody_agents_running") == 0 else None

    after = eventually(told)

    def more(name: str, **labels: str) -> float:
        return after.value(name, **labels) - before.value(name, **labels)

    assert more("cody_appended_events_total") == len(events)
    assert more("cody_appended_bytes_total") > 100 * len(events)
    assert more("cody_append_batch_events_sum") >= len(events)  # the first words may be said by two activities
    assert more("cody_append_seconds_count") == more("cody_appends_total")
    assert more("cody_appends_total", outcome="ok") > 3
    assert more("cody_activities_total", activity="take_turn", outcome="done") == 2
    assert more("cody_activities_total", outcome="failed") == 0
    assert more("cody_save_seconds_count") >= 4
    assert after.value("cody_projector_lag_events") == after.value("cody_projector_lag_seconds") == 0
    eventually(lambda: worker(service).value("cody_archived_bytes_total") > before.value("cody_archived_bytes_total"))
    assert worker(service).value("cody_archived_chunks_total") > before.value("cody_archived_chunks_total")
    assert worker(service).value("cody_archive_round_timestamp_seconds") > events[0]["timestamp"] / 1000


def test_a_turn_that_runs_and_who_watches_it_are_seen(service: Service):
    run = service.start("touch here; while test ! -e go; do sleep 0.02; done")
    eventually((run.dir / "here").exists)
    seen = worker(service)
    assert seen.value("cody_activities_running", activity="take_turn") == 1
    assert seen.value("cody_agents_running") == 1
    assert seen.value("cody_held_bytes") > 0  # a run that has ended may be archived by now
    opened = api(service).value("cody_streams_opened_total")
    with run.stream() as one, run.stream() as other:
        for stream in (one, other):
            stream.until(lambda frame: frame.event == "turn_started")
        seen = api(service)
        assert seen.by("cody_hub_run_clients", "run_id") == {run.id: 2}
        assert seen.value("cody_hub_clients") == 2
        assert seen.value("cody_hub_runs") == 1
        assert seen.value("cody_hub_ring_misses_total") >= 1
        assert seen.value("cody_streams_opened_total") == opened + 2
        tasks = seen.value("cody_tasks")
    (run.dir / "go").touch()
    run.wait("completed")
    eventually(lambda: api(service).value("cody_hub_clients") == 0)
    eventually(lambda: api(service).value("cody_tasks") <= tasks - 2)
    eventually(lambda: api(service).value("cody_streams_closed_total") == opened + 2)


def test_requests_are_counted_by_their_route(service: Service, done: Run):
    route = "/api/runs/{run_id}"

    def answered(**labels: str) -> float:
        return api(service).value("cody_requests_total", method="GET", **labels)

    found, missing = answered(route=route, status="200"), answered(route=route, status="404")
    nowhere = api(service).value("cody_requests_total", route="none", status="404")
    done.snapshot()
    assert service.http.get("/api/runs/run_nobody").status_code == 404
    assert service.http.get("/nowhere").status_code == 404
    assert answered(route=route, status="200") == found + 1
    assert answered(route=route, status="404") == missing + 1
    assert api(service).value("cody_requests_total", route="none", status="404") == nowhere + 1
    assert api(service).value("cody_request_seconds_count", route=route) >= found + missing + 2
    assert set(api(service).by("cody_requests_total", "route")) <= {"none", *_routes(service)}


def _routes(service: Service) -> set[str]:
    paths = service.http.get("/schema/openapi.json").json()["paths"]
    return {*paths, "/schema/openapi.json"}


def test_a_worker_that_is_started_again_is_found_where_it_was(own_service: OwnService):
    with own_service(workers=2) as service:
        addresses = targets(service.data_dir)
        assert set(addresses) == {"api", "worker-1", "worker-2"}
        assert len(set(addresses.values())) == 3
        for process in service.parts("worker"):
            process.kill()
        for part in ("worker-1", "worker-2"):
            again = eventually(lambda address=addresses[part]: _scraped(address))
            assert again.kinds == documented("Workers", "Both")
        assert targets(service.data_dir) == addresses


def _scraped(address: str) -> Figures | None:
    try:
        return scrape(address)
    except httpx.TransportError:
        return None

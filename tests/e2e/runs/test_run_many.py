"""Many runs at once."""

from concurrent.futures import ThreadPoolExecutor

from tests.e2e.runs.checks import check_ended
from tests.service import Run, Service


def test_a_hundred_and_twenty_runs_started_at_once_all_end(service: Service):
    place = service.workspace()

    def start(_: int) -> Run:
        return service.start(["true"], working_dir=place, max_turns=1)

    with ThreadPoolExecutor(16) as pool:
        runs = list(pool.map(start, range(120)))
    for run in runs:
        run.wait("completed")
    for run in runs:
        check_ended(run)
    listed = service.http.get("/api/runs", params={"status": "completed", "limit": 100}).json()
    assert len(listed["runs"]) == 100
    assert listed["next_cursor"]

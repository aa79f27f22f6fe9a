"""PostgreSQL goes away under a service that is at work: it says so, and loses nothing."""

import signal

from tests.e2e.api.api_checks import problem
from tests.e2e.conftest import OwnService
from tests.e2e.runs.checks import check_ended
from tests.postgres import PostgresServer
from tests.service import Service, eventually

AGENT = """
i=0
while [ $i -lt 20 ]; do echo "line $i of $CODY_TURN"; i=$((i + 1)); sleep 0.05; done
"""


def _down(service: Service) -> object:
    answer = service.http.get("/health/ready")
    return answer if answer.status_code == 503 else None


def _ready(service: Service) -> bool:
    return service.http.get("/health/ready").status_code == 200


def test_runs_reach_their_ends_though_postgresql_is_killed_again_and_again(
    own_service: OwnService, postgres_server: PostgresServer
):
    with postgres_server.database(tables=False) as url, own_service({"DATABASE_URL": url}, workers=2) as service:
        runs = [service.start(AGENT, max_turns=3) for _ in range(8)]
        for turn in (1, 2, 3):
            eventually(lambda turn=turn: runs[-1].snapshot()["current_turn"] >= turn)
            postgres_server.kill()
            try:
                problem(eventually(lambda: _down(service)), 503, "database_unavailable")
                answer = service.post(service.body("true"))
                problem(answer, 503, "database_unavailable")
                assert answer.headers["retry-after"]
                problem(service.http.get("/api/runs"), 503, "database_unavailable")
                assert service.http.get("/health/live").status_code == 200
            finally:
                postgres_server.start()
            eventually(lambda: _ready(service))
        for run in runs:
            run.wait("completed")
            check_ended(run)
            assert run.snapshot()["stats"]["turns"] == 3


def test_a_frozen_postgresql_is_away_until_it_wakes(own_service: OwnService, postgres_server: PostgresServer):
    with postgres_server.database(tables=False) as url, own_service({"DATABASE_URL": url}) as service:
        run = service.start("while test ! -e go; do sleep 0.02; done")
        run.wait("running")
        postgres_server.signal(signal.SIGSTOP)
        try:
            problem(eventually(lambda: _down(service)), 503, "database_unavailable")
        finally:
            postgres_server.signal(signal.SIGCONT)
        eventually(lambda: _ready(service))
        (run.dir / "go").touch()
        run.wait("completed")
        check_ended(run)

"""What all tests share: a real service, one to a test session (with xdist, one to each of its workers)."""

from collections.abc import Generator

import pytest

from tests.postgres import PostgresServer, running_postgres
from tests.service import Service, running


@pytest.fixture(scope="session")
def postgres_server() -> Generator[PostgresServer]:
    """One server to a session; who kills it (`killed`) brings it back."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def service_on_postgres(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Generator[Service]:
    """As `service`, with its record in PostgreSQL."""
    root = tmp_path_factory.mktemp("service")
    with postgres_server.database(tables=False) as url, running(root, {"DATABASE_URL": url}) as service:
        yield service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Generator[Service]:
    """A `cody dev` that runs for the whole session, ends by SIGTERM with exit code 0, and leaves nothing behind.

    What a test does to its parts (`frozen`, a kill) has to be undone, or mended by `cody dev`, before the test ends.
    """
    with running(tmp_path_factory.mktemp("service")) as service:
        yield service

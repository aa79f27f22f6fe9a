"""The API says the same whatever its record is in."""

from collections.abc import Generator

import pytest

from tests.postgres import PostgresServer
from tests.service import Service, running


@pytest.fixture(scope="package")
def service_on_postgres(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Generator[Service]:
    """As `service`, with its record in PostgreSQL."""
    root = tmp_path_factory.mktemp("service")
    with postgres_server.database(tables=False) as url, running(root, {"DATABASE_URL": url}) as service:
        yield service


@pytest.fixture(scope="package", params=["service", "service_on_postgres"], ids=["sqlite", "postgresql"])
def service(request: pytest.FixtureRequest) -> Service:
    """The service on SQLite, then the one on PostgreSQL; each is started when the first test asks for it."""
    return request.getfixturevalue(request.param)

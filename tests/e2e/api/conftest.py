"""The API says the same whatever its record is in."""

import pytest

from tests.service import Service


@pytest.fixture(scope="session", params=["service", "service_on_postgres"], ids=["sqlite", "postgresql"])
def service(request: pytest.FixtureRequest) -> Service:
    """The session's service on SQLite, then the one on PostgreSQL; each is started when the first test asks for it."""
    return request.getfixturevalue(request.param)

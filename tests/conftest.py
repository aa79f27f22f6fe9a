"""What all tests share, and which of them stay together on one of xdist's workers."""

from collections.abc import Generator

import pytest
from xdist.scheduler import LoadFileScheduling

from tests.postgres import PostgresServer, running_postgres

_SHARING = ("tests/e2e/api/", "tests/e2e/models/")
"""Folders whose tests share services, each of which costs as much to start as dozens of their tests."""


class _BySharing(LoadFileScheduling):
    """A file, or such a folder, stays on one worker."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in _SHARING if nodeid.startswith(folder)), super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling | None:
    return _BySharing(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def postgres_server() -> Generator[PostgresServer]:
    """One server to a session (with xdist, to each of its workers); who kills it (`killed`) brings it back."""
    with running_postgres() as server:
        yield server

"""What the tests of the stream, the store and the projector share."""

import shutil
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cody.store import Store
from cody.stream.log import Log
from tests.cluster import RedisCluster, running_cluster
from tests.parts import RedisServer, connected, make_tables, running_redis
from tests.postgres import PostgresServer


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RedisServer]:
    """One server to a session; who kills it (`killed`) brings it back."""
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[RedisCluster]:
    """One to a session; who kills a node brings it back, who moves a slot leaves it where it is."""
    with running_cluster(tmp_path_factory.mktemp("cluster") / "nodes") as cluster:
        yield cluster


@pytest.fixture
async def log(redis_server: RedisServer) -> AsyncGenerator[Log]:
    async with connected(redis_server.url) as redis:
        yield Log(redis)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """A new database, once of each kind."""
    with _database(request, tmp_path, tables=True) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """A new database without tables, once of each kind."""
    with _database(request, tmp_path, tables=False) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables and nothing in them, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "cody.db"
    make_tables(f"sqlite:///{path}")
    return path


@contextmanager
def _database(request: pytest.FixtureRequest, folder: Path, *, tables: bool) -> Generator[str]:
    """It may have its tables already, copied from a template, as migrating takes longer than most tests."""
    if request.param == "sqlite":
        path = folder / "cody.db"
        if tables:
            shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
        yield f"sqlite:///{path}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")  # not started where nobody asks for it
    with server.database(tables=tables) as url:
        yield url


@pytest.fixture
async def store(database_url: str) -> AsyncGenerator[Store]:
    store = Store(database_url)
    await store.open()
    yield store
    await store.close()

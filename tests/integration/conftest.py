"""What the tests of the stream, the store and the projector share."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from cody.store import Store
from cody.stream.log import Log
from tests.parts import RedisServer, connected, running_redis


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RedisServer]:
    """One server to a session; who kills it (`killed`) brings it back."""
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
async def log(redis_server: RedisServer) -> AsyncGenerator[Log]:
    async with connected(redis_server.url) as redis:
        yield Log(redis)


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'cody.db'}"


@pytest.fixture
async def store(database_url: str) -> AsyncGenerator[Store]:
    store = Store(database_url)
    await store.open()
    yield store
    await store.close()

from collections.abc import AsyncIterator

import pytest

from fixtures.providers.server import ProviderServer


@pytest.fixture
async def server() -> AsyncIterator[ProviderServer]:
    async with ProviderServer() as server:
        yield server

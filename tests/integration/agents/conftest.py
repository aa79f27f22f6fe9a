from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cody.agents.keepers import Keepers
from tests.integration.agents.agents_bench import Bench


@pytest.fixture
async def keepers() -> AsyncIterator[Keepers]:
    keepers = Keepers()
    yield keepers
    await keepers.close()


@pytest.fixture
def bench(keepers: Keepers, tmp_path: Path) -> Bench:
    return Bench(keepers, tmp_path)

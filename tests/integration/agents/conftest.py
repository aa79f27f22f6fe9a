from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cody.agents.keepers import Keepers
from tests.integration.agents.agents_stage import Stage


@pytest.fixture
async def keepers() -> AsyncIterator[Keepers]:
    keepers = Keepers()
    yield keepers
    await keepers.close()


@pytest.fixture
def stage(keepers: Keepers, tmp_path: Path) -> Stage:
    return Stage(keepers, tmp_path)

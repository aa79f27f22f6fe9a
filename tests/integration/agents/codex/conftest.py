from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cody.agents.keepers import Keepers
from fixtures.providers.server import ProviderServer
from tests.integration.agents.codex.codex_stage import CodexStage


@pytest.fixture
async def codex(keepers: Keepers, tmp_path: Path) -> AsyncIterator[CodexStage]:
    root, home = tmp_path / "work", tmp_path / "home"
    root.mkdir()
    (home / "codex").mkdir(parents=True)
    async with ProviderServer() as server:
        yield CodexStage(server, keepers, root, home)

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cody.agents.keepers import Keepers
from fixtures.providers.server import ProviderServer
from tests.integration.agents.claude_code.claude_stage import ClaudeStage


@pytest.fixture
async def claude(keepers: Keepers, tmp_path: Path) -> AsyncIterator[ClaudeStage]:
    root, home = tmp_path / "work", tmp_path / "home"
    root.mkdir()
    home.mkdir()
    async with ProviderServer() as server:
        yield ClaudeStage(server, keepers, root, home)

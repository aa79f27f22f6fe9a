import pytest

from tests.integration.agents.agents_stage import Stage
from tests.integration.agents.tools.tools_stage import Tools


@pytest.fixture
def tools(stage: Stage) -> Tools:
    return Tools(stage)

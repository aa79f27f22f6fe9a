import pytest

from tests.integration.agents.agents_bench import Bench
from tests.integration.agents.tools.tools_bench import Tools


@pytest.fixture
def tools(bench: Bench) -> Tools:
    return Tools(bench)

"""The `codex` agent: OpenAI Codex through its official SDK, in a driver of its own (`cody.agents.drivers.codex`)."""

from cody.agents.driven import DrivenAgent
from cody.agents.keepers import Keepers

KIND = "codex"


class CodexAgent(DrivenAgent):
    """Does the turns of a `codex` job."""

    def __init__(self, keepers: Keepers) -> None:
        super().__init__(keepers, "codex")

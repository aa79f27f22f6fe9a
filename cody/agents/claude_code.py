"""The `claude-code` agent: Claude Code through its official SDK, driven by `cody.agents.drivers.claude_code`."""

from cody.agents.driven import DrivenAgent
from cody.agents.keepers import Keepers

KIND = "claude-code"


class ClaudeCodeAgent(DrivenAgent):
    """Does the turns of `claude-code` jobs. `carry` holds `claude_session`, the id of the agent's own session."""

    def __init__(self, keepers: Keepers) -> None:
        super().__init__(keepers, "claude_code")

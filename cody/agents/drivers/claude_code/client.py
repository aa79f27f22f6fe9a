"""Claude Code's official SDK, set up for a turn that nobody watches."""

import os
from collections.abc import AsyncGenerator
from typing import Any, Final, cast

from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient

from cody.agents.drivers.speech import Order
from cody.contract.agents import ClaudeCodeAgent

UNATTENDED: Final = {
    "CLAUDE_CODE_MAX_RETRIES": "0",  # Temporal repeats, visibly
    "CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK": "1",  # the same for an answer that was cut
    "CLAUDE_CODE_DISABLE_REFUSAL_RETRY": "1",  # and for one that the model's safeguards stopped
    "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS": "1",  # what runs on when the turn's result is there would be lost
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",  # updates, telemetry, error reports
    "DISABLE_AUTOUPDATER": "1",
}
"""Seen at work with Claude Code 2.1.329; a version that does not know one ignores it."""

NO_KEY: Final = "none"
"""Instead of the user's own login, which is not for an address that a run or the service names."""


class Client(ClaudeSDKClient):
    """The SDK's client. Its typed messages leave out what errors and usage are told by, so `raw` gives them whole."""

    async def raw(self) -> AsyncGenerator[dict[str, Any]]:
        """Claude Code's messages as it wrote them; ends when it does. Raises ClaudeSDKError when it fails."""
        messages = cast("AsyncGenerator[dict[str, Any]]", cast("Any", self._query).receive_messages())
        async for message in messages:
            yield message


def client_for(order: Order, session: str | None) -> Client:
    """A client for this turn, which goes on with the agent's own `session` if there is one."""
    agent = ClaudeCodeAgent.model_validate(order.agent)
    options = ClaudeAgentOptions(
        model=agent.model,
        permission_mode=agent.permission_mode or "bypassPermissions",
        system_prompt={"type": "preset", "preset": "claude_code"},
        resume=session,
        include_partial_messages=True,
        env=_environment(order),
        max_buffer_size=64 << 20,
    )
    return Client(options)


def _environment(order: Order) -> dict[str, str]:
    """What the CLI gets over the environment of this process."""
    env = dict(UNATTENDED)
    if os.geteuid() == 0:
        env["IS_SANDBOX"] = "1"  # without it the CLI refuses to bypass permissions as root
    if order.base_url:
        env["ANTHROPIC_BASE_URL"] = order.base_url
        # Without it a refused request is sent five times more, with fewer betas each time.
        env["CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS"] = "1"
    if order.base_url or order.api_key:
        env["ANTHROPIC_API_KEY"] = order.api_key or NO_KEY
    return env

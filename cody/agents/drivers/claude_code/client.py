"""Claude Code's official SDK, set up for a turn that nobody watches."""

import json
import os
import shlex
from collections.abc import AsyncGenerator
from typing import Any, Final, cast

from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient

from cody.agents.connections import ROUTES
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

USUAL_PLACE: Final = "https://api.anthropic.com"
KEY: Final = "ANTHROPIC_API_KEY"
BEFORE_COMMANDS: Final = "CLAUDE_ENV_FILE"
"""Names a script that Claude Code runs before each command of the model's, in the same shell."""
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
        settings=_settings(order),
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
        env[KEY] = order.api_key or NO_KEY
    if order.api_key and not os.environ.get(KEY) and hasattr(os, "memfd_create"):
        env[BEFORE_COMMANDS] = _forgetting(KEY)
    return env


def _forgetting(name: str) -> str:
    """A script that takes a variable away from every command of the model's, which inherit the CLI's environment.

    It is a file without a name, so that nothing of it is left behind; it lives as long as this process.
    """
    before = os.environ.get(BEFORE_COMMANDS)
    lines = [f"unset {name}", *([f". {shlex.quote(before)}"] if before else [])]
    fd = os.memfd_create("commands")
    os.write(fd, "\n".join([*lines, ""]).encode())
    return f"/proc/{os.getpid()}/fd/{fd}"


def _settings(order: Order) -> str | None:
    """Settings that stand above those of the user and of the working directory, as JSON; None for the user's login.

    What lies in a directory must not lead the key elsewhere, so the address, and the way there, are said here too.
    """
    if order.base_url is None and order.api_key is None:
        return None
    way = {name: os.environ.get(name, "") for route in sorted(ROUTES) for name in (route, route.lower())}
    return json.dumps({"env": {**way, "ANTHROPIC_BASE_URL": order.base_url or USUAL_PLACE}})

"""What Codex is told about a turn: the run's settings in Codex's own words, and where the provider is.

Everything goes through the SDK's requests, which Codex reads on its stdin: a key is neither in a command line nor in
an environment, where the commands that the model runs could see it.
"""

import os
from collections.abc import Mapping
from typing import Any, Final

from cody.agents.drivers.speech import Order
from cody.contract.agents import CodexAgent

PROVIDER: Final = "cody"
OPENAI_URL: Final = "https://api.openai.com/v1"
SANDBOX: Final = "danger-full-access"
"""Where neither the run nor the user's own configuration says: works without user namespaces, as in most containers."""
APPROVAL: Final = "never"
"""Nobody is there to ask."""
STREAM_RETRIES: Final = 1
"""Codex tries a broken stream again this often by itself; beyond that Temporal does, where it can be seen."""
MAX_IDLE_MS: Final = 24 * 3600 * 1000
"""Codex's own patience with a silent stream; ours is shorter, and it is what ends the turn."""


def thread_params(order: Order, user: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of `thread/start` and `thread/resume`; `user` is the configuration of the worker's user."""
    spec = CodexAgent.model_validate(order.agent)
    sandbox = spec.sandbox or (None if user.get("sandbox_mode") else SANDBOX)
    wanted = {
        "cwd": os.getcwd(),  # noqa: PTH109  # as it was given; Codex resolves it itself
        "model": spec.model,
        "approvalPolicy": spec.approval or APPROVAL,
        "sandbox": sandbox,
        "config": _provider(order),
    }
    return {name: value for name, value in wanted.items() if value is not None}


def turn_params(order: Order, user: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of `turn/start`. Summaries are asked for: without them the model's reasoning cannot be read."""
    spec = CodexAgent.model_validate(order.agent)
    wanted = {"effort": spec.reasoning, "summary": None if user.get("model_reasoning_summary") else "auto"}
    return {name: value for name, value in wanted.items() if value is not None}


def _provider(order: Order) -> dict[str, Any] | None:
    """A provider of the run's or the service's own; None leaves Codex with the user's login."""
    if order.base_url is None and order.api_key is None:
        return None
    provider: dict[str, Any] = {
        "name": PROVIDER,
        "base_url": (order.base_url or OPENAI_URL).rstrip("/"),
        "wire_api": "responses",
        "request_max_retries": 0,
        "stream_max_retries": STREAM_RETRIES,
        "stream_idle_timeout_ms": MAX_IDLE_MS,
    }
    if order.api_key is not None:
        provider["experimental_bearer_token"] = order.api_key
    return {"model_provider": PROVIDER, "model_providers": {PROVIDER: provider}}

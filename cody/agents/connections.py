"""Where the provider of an agent's model is: the service's own settings, unless the run brings its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PREFIX: Final[Mapping[str, str]] = {
    "openai": "OPENAI", "codex": "OPENAI", "anthropic": "ANTHROPIC", "claude-code": "ANTHROPIC",
}  # fmt: skip
"""What the names of a kind's variables begin with."""

ASKING_THEMSELVES: Final = frozenset(("codex", "claude-code"))
"""Kinds whose own process asks the provider; for the others the worker does."""


ROUTES: Final = frozenset(
    ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "WS_PROXY", "WSS_PROXY", "ANTHROPIC_UNIX_SOCKET")
)
"""Variables, in any case, that lead an agent's requests another way than their address says."""


@dataclass(frozen=True)
class Connection:
    """A provider's address and key; None is what its SDK does without."""

    base_url: str | None = None
    api_key: str | None = None
    of_run: bool = False
    """It is the run's own, so nothing that the service knows itself by may go there."""


def connection_of(kind: str, service: Mapping[str, str], run: Mapping[str, str]) -> Connection:
    """`…_BASE_URL` and `…_API_KEY` for agents of this kind.

    A run that names either in its `env` names both: the service's key never goes to an address that a client chose.
    """
    prefix = PREFIX.get(kind)
    if prefix is None:
        return Connection()
    url, key = f"{prefix}_BASE_URL", f"{prefix}_API_KEY"
    of_run = bool(run.get(url) or run.get(key))
    source = run if of_run else service
    return Connection(source.get(url) or None, source.get(key) or None, of_run)


def unrouted(kind: str, connection: Connection, run: Mapping[str, str]) -> dict[str, str]:
    """The run's `env` for agents of this kind: one that asks a provider itself, and not by the run's own connection,
    takes the service's way there, as through a proxy of the run's the key of the service would pass.
    """
    if connection.of_run or kind not in ASKING_THEMSELVES:
        return dict(run)
    return {name: value for name, value in run.items() if name.upper() not in ROUTES}

"""Where the provider of an agent's model is: the service's own settings, unless the run brings its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PREFIX: Final[Mapping[str, str]] = {
    "openai": "OPENAI", "codex": "OPENAI", "anthropic": "ANTHROPIC", "claude-code": "ANTHROPIC",
}  # fmt: skip
"""What the names of a kind's variables begin with."""


@dataclass(frozen=True)
class Connection:
    """A provider's address and key; None is what its SDK does without."""

    base_url: str | None = None
    api_key: str | None = None


def connection_of(kind: str, service: Mapping[str, str], run: Mapping[str, str]) -> Connection:
    """`…_BASE_URL` and `…_API_KEY` for agents of this kind.

    A run that names either in its `env` names both: the service's key never goes to an address that a client chose.
    """
    prefix = PREFIX.get(kind)
    if prefix is None:
        return Connection()
    url, key = f"{prefix}_BASE_URL", f"{prefix}_API_KEY"
    source = run if run.get(url) or run.get(key) else service
    return Connection(source.get(url) or None, source.get(key) or None)

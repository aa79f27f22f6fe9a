"""What a provider is to the loop: given a conversation it answers once, as a stream of items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cody.agents.base import Patience
from cody.agents.connections import Connection
from cody.agents.model.items import Items
from cody.contract.errors import ErrorInfo
from cody.contract.items import Item
from cody.contract.usage import Usage


class ProviderFailed(Exception):
    """The provider did not give a whole answer; `error` says why, and whether asking again makes sense."""

    def __init__(self, error: ErrorInfo) -> None:
        super().__init__(f"{error.code}: {error.message}")
        self.error = error


@dataclass(frozen=True)
class UserText:
    """What a person (or a run's prompt) said."""

    text: str


@dataclass(frozen=True)
class Kept:
    """An item of an answer, or a tool's output. `replay` is its provider's own form of it, where it wants that back.

    `replay` is `{"provider": kind, …}`; only the provider of that kind looks into it, others use `item`.
    """

    item: Item
    replay: Mapping[str, Any] | None = None


Entry = UserText | Kept


@dataclass(frozen=True)
class ToolSpec:
    """A tool as a model is told of it; `parameters` is the JSON schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """One request to a model: everything that it is to know."""

    model: str
    instructions: str | None
    entries: Sequence[Entry]
    tools: Sequence[ToolSpec]
    thinking_budget: int | None = None


@dataclass(frozen=True)
class Answer:
    """How an answer ended, after all of its items were told.

    `finish_reason`: `stop`, `tool_calls`, `length`, `content_filter` or `refusal`, or the provider's own word.
    """

    finish_reason: str
    usage: Usage | None


class Provider(Protocol):
    """A provider of models. Made for one turn; `close` lets go of its connections."""

    async def answer(self, question: Question, items: Items) -> Answer:
        """Ask, and tell `items` what streams in, as it does. Raises ProviderFailed for everything but a whole answer.

        It is cancelled when the turn is to stop; then it closes its stream at once.
        """
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


class ProviderMaker(Protocol):
    """Makes the provider of a turn."""

    def __call__(self, connection: Connection, patience: Patience) -> Provider:
        """`patience` bounds the silence before and within an answer."""
        ...

"""What a tool is to the toolbox, and what comes of a call."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from cody.agents.model.protocol import ToolSpec


@dataclass(frozen=True)
class ToolOutput:
    """What the model is told: `text`, of bounded length, and whether the call did what it was to do."""

    text: str
    success: bool


class Refusal(Exception):
    """The call cannot be done as it was asked for; the message tells the model why, and what would be right."""


class Tool(Protocol):
    """A tool of one turn."""

    @property
    def spec(self) -> ToolSpec:
        """What the model is told of it."""
        ...

    async def call(self, arguments: str, given_up: asyncio.Event) -> ToolOutput:
        """Do it; `arguments` is JSON as the model wrote it. Once `given_up` is set, come to a clean end soon.

        Raises Refusal for what the model did wrong.
        """
        ...

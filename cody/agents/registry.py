"""Which agent does the turns of which kind: a new one is one file and one line here."""

from collections.abc import Callable, Mapping
from typing import Final

from cody.agents import command
from cody.agents.base import Agent
from cody.agents.keepers import Keepers

_MAKERS: Final[Mapping[str, Callable[[Keepers], Agent]]] = {
    command.KIND: command.CommandAgent,
}


def agent_for(kind: str, keepers: Keepers) -> Agent | None:
    """The agent that does turns of this kind; None for a kind that is not available here."""
    make = _MAKERS.get(kind)
    return make(keepers) if make else None

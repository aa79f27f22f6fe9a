"""Which agent does the turns of which kind: a new one is one file and one line here."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from cody.agents import claude_code, codex, command
from cody.agents.base import Agent
from cody.agents.keepers import Keepers
from cody.agents.model import anthropic, openai
from cody.agents.model.loop import ModelAgent

_MAKERS: Final[Mapping[str, Callable[[Keepers], Agent]]] = {
    command.KIND: command.CommandAgent,
    codex.KIND: codex.CodexAgent,
    claude_code.KIND: claude_code.ClaudeCodeAgent,
    openai.KIND: partial(ModelAgent, make_provider=openai.OpenAIProvider),
    anthropic.KIND: partial(ModelAgent, make_provider=anthropic.AnthropicProvider),
}


def agent_for(kind: str, keepers: Keepers) -> Agent | None:
    """The agent that does turns of this kind; None for a kind that is not available here."""
    make = _MAKERS.get(kind)
    return make(keepers) if make else None

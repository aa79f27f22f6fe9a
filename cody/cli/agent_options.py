"""Who does the turns: the options of `cody run` that make up the request's `agent`, told apart by its kind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

import click
from pydantic import BaseModel

from cody.contract import agents as a

KINDS: Final[Mapping[str, type[BaseModel]]] = {
    "command": a.CommandAgent,
    "codex": a.CodexAgent,
    "claude-code": a.ClaudeCodeAgent,
    "openai": a.OpenAIAgent,
    "anthropic": a.AnthropicAgent,
}
_SUCH_AS: Final = {"openai": "gpt-5-mini", "anthropic": "claude-haiku-4.5"}
"""Kinds that have no model of their own choice."""
_SETTINGS: Final = {
    "--model": "model",
    "--reasoning": "reasoning",
    "--approval": "approval",
    "--sandbox": "sandbox",
    "--permission-mode": "permission_mode",
    "--instructions": "instructions",
    "--thinking-budget": "thinking_budget",
    "--tool": "tools",
    "--no-tools": "tools",
    "--max-steps": "max_steps",
}
"""Each option, and the setting that it gives."""

OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--agent", type=click.Choice(list(KINDS)), help="Who does the turns; command unless told."),
    click.option("--model", metavar="NAME", help="The agent's model."),
    click.option("--reasoning", type=click.Choice(get_args(a.Reasoning)), help="codex: how hard to think."),
    click.option("--approval", type=click.Choice(get_args(a.Approval)), help="codex: what needs approval."),
    click.option("--sandbox", type=click.Choice(get_args(a.Sandbox)), help="codex: what its commands may touch."),
    click.option(
        "--permission-mode", type=click.Choice(get_args(a.PermissionMode)), help="claude-code: what needs permission."
    ),
    click.option("--instructions", metavar="TEXT", help="openai, anthropic: the system prompt."),
    click.option("--thinking-budget", type=int, metavar="TOKENS", help="anthropic: tokens to think with."),
    click.option(
        "--tool",
        multiple=True,
        type=click.Choice(get_args(a.BuiltinTool)),
        help="openai, anthropic: only these; repeatable.",
    ),
    click.option("--no-tools", is_flag=True, help="openai, anthropic: no tools, and so no working directory."),
    click.option("--max-steps", type=int, metavar="N", help="openai, anthropic: the most answers in one turn."),
)


@dataclass(frozen=True, kw_only=True)
class AgentOptions:
    """The options, by the names that click gives them."""

    command: tuple[str, ...] = ()
    agent: str | None = None
    model: str | None = None
    reasoning: str | None = None
    approval: str | None = None
    sandbox: str | None = None
    permission_mode: str | None = None
    instructions: str | None = None
    thinking_budget: int | None = None
    tool: tuple[str, ...] = ()
    no_tools: bool = False
    max_steps: int | None = None

    def agent_field(self) -> dict[str, Any]:
        """The request's `agent`. Raises click.UsageError for a setting that its kind has not, or one that it lacks."""
        kind = self.agent or "command"
        if kind == "command" and not self.command:
            raise click.UsageError("what shall run? Give a command after --, or another --agent")
        if kind != "command" and self.command:
            raise click.UsageError(f"a command after -- is for --agent command, not for {kind}")
        if self.tool and self.no_tools:
            raise click.UsageError("--tool and --no-tools exclude each other")
        given = self._given()
        for option in given:
            if not _has(kind, option):
                kinds = ", ".join(each for each in KINDS if _has(each, option))
                raise click.UsageError(f"{option} is for {kinds}, not for {kind}")
        if kind in _SUCH_AS and "--model" not in given:
            raise click.UsageError(f"--agent {kind} needs a --model, such as {_SUCH_AS[kind]}")
        settings = {_SETTINGS[option]: value for option, value in given.items()}
        return {"kind": kind, **({"command": list(self.command)} if self.command else {}), **settings}

    def _given(self) -> dict[str, Any]:
        """The settings that were given, by option."""
        values: dict[str, Any] = {option: getattr(self, option[2:].replace("-", "_")) for option in _SETTINGS}
        values["--tool"] = list(self.tool) or None
        values["--no-tools"] = [] if self.no_tools else None
        return {option: value for option, value in values.items() if value is not None}


def _has(kind: str, option: str) -> bool:
    return _SETTINGS[option] in KINDS[kind].model_fields

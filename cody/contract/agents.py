"""Who does a turn: the settings of each kind of agent, told apart by `kind`."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from cody.contract.base import RequestModel

NoNul = StringConstraints(pattern=r"^[^\x00]*$")
"""No process argument, environment or SQL text can hold a NUL."""

Text = Annotated[str, NoNul]
Name = Annotated[str, StringConstraints(pattern=r"^[^\x00]+$", max_length=200)]

BuiltinTool = Literal["read_file", "write_file", "list_dir", "apply_patch", "shell"]

MaxSteps = Annotated[int, Field(ge=1, le=1000, description="The most answers of the model in one turn.")]


class CommandAgent(RequestModel):
    """Any command; it gets the prompt on stdin."""

    kind: Literal["command"]
    command: Annotated[list[Text], Field(min_length=1, max_length=1000)]

    @property
    def model_name(self) -> str:
        """What stands for the model: the command's own name."""
        return self.command[0].rstrip("/").rsplit("/", 1)[-1] or self.command[0]


Reasoning = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra"]
Approval = Literal["untrusted", "on-request", "never"]
Sandbox = Literal["read-only", "workspace-write", "danger-full-access"]
"""Codex's own words (0.163)."""


class CodexAgent(RequestModel):
    """OpenAI Codex through its official SDK."""

    kind: Literal["codex"]
    model: Name | None = None
    reasoning: Reasoning | None = None
    approval: Approval | None = None
    sandbox: Sandbox | None = None

    @property
    def model_name(self) -> str | None:
        """The model asked for, if any."""
        return self.model


PermissionMode = Literal["default", "acceptEdits", "plan", "bypassPermissions", "dontAsk", "auto"]


class ClaudeCodeAgent(RequestModel):
    """Claude Code through its official SDK. Nobody is there to be asked: what a mode would ask about, it denies."""

    kind: Literal["claude-code"]
    model: Name | None = None
    permission_mode: PermissionMode | None = None

    @property
    def model_name(self) -> str | None:
        """The model asked for, if any."""
        return self.model


class OpenAIAgent(RequestModel):
    """A model behind OpenAI's Responses API, with Cody's tools."""

    kind: Literal["openai"]
    model: Name
    instructions: Text | None = None
    tools: list[BuiltinTool] | None = None
    max_steps: MaxSteps = 100

    @property
    def model_name(self) -> str:
        """The model asked for."""
        return self.model


class AnthropicAgent(RequestModel):
    """A model behind Anthropic's Messages API, with Cody's tools."""

    kind: Literal["anthropic"]
    model: Name
    instructions: Text | None = None
    thinking_budget: Annotated[int, Field(ge=1024)] | None = None
    tools: list[BuiltinTool] | None = None
    max_steps: MaxSteps = 100

    @property
    def model_name(self) -> str:
        """The model asked for."""
        return self.model


Agent = Annotated[
    CommandAgent | CodexAgent | ClaudeCodeAgent | OpenAIAgent | AnthropicAgent, Field(discriminator="kind")
]

WORKS_ON_FILES = frozenset({"command", "codex", "claude-code"})
"""Kinds that cannot do without a `working_dir`."""

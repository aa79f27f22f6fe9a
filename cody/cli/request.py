"""From the options of `cody run` to its request: only what was given, so that the service's defaults hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TextIO

import click

ONCE_FIELDS = frozenset({"agent", "prompt", "working_dir", "thread_id"})
"""What a single-turn run takes."""


@dataclass(frozen=True, kw_only=True)
class PromptOptions:
    """The options that make up a prompt."""

    prompt: str | None = None
    prompt_file: TextIO | None = None
    state_file: tuple[str, ...] = ()
    reference_file: tuple[str, ...] = ()
    working_dir: str = "."

    def template(self) -> str | None:
        """The prompt's text, from either option; reads the file."""
        if self.prompt is not None and self.prompt_file is not None:
            raise click.UsageError("--prompt and --prompt-file exclude each other")
        return self.prompt_file.read() if self.prompt_file is not None else self.prompt

    def prompt_field(self) -> str | dict[str, Any] | None:
        """The request's `prompt`: plain text if there are no files."""
        template = self.template()
        if not self.state_file and not self.reference_file:
            return template
        return _given(template=template, state_files=list(self.state_file), reference_files=list(self.reference_file))


@dataclass(frozen=True, kw_only=True)
class RunOptions(PromptOptions):
    """The options of `cody run` that the request is made of."""

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
    max_turns: int | None = None
    loop_delay: float | None = None
    turn_timeout: float | None = None
    attempts: int | None = None
    log: str | None = None
    pattern: str | None = None
    stop_file: str | None = None
    max_tokens: int | None = None
    max_duration: float | None = None
    watch: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    epic: str | None = None
    meta: tuple[tuple[str, str], ...] = ()
    thread: str | None = None
    once: bool = False

    def body(self) -> dict[str, Any]:
        """The request's body. Raises click.UsageError for options that cannot go together."""
        body = _given(
            agent=self._agent(),
            working_dir=self.working_dir,
            prompt=self.prompt_field(),
            thread_id=self.thread,
            epic_id=self.epic,
            max_turns=self.max_turns,
            loop_delay_seconds=self.loop_delay,
            turn_timeout_seconds=self.turn_timeout,
            turn_attempts=self.attempts,
            completion=_given(log=self.log, pattern=self.pattern, stop_file=self.stop_file),
            budget=_given(max_tokens=self.max_tokens, max_duration_seconds=self.max_duration),
            watch=_given(logs=list(self.watch), include=list(self.include), exclude=list(self.exclude)),
            env=dict(self.env),
            metadata=dict(self.meta),
        )
        return _single(body) if self.once else _continuous(body)

    def _agent(self) -> dict[str, Any]:
        kind = self.agent or "command"
        if kind == "command" and not self.command:
            raise click.UsageError("what shall run? Give a command after --, or another --agent")
        if kind != "command" and self.command:
            raise click.UsageError(f"a command after -- is for --agent command, not for {kind}")
        return _given(
            kind=kind,
            command=list(self.command),
            model=self.model,
            reasoning=self.reasoning,
            approval=self.approval,
            sandbox=self.sandbox,
            permission_mode=self.permission_mode,
            instructions=self.instructions,
            thinking_budget=self.thinking_budget,
            tools=list(self.tool),
        )


def _single(body: dict[str, Any]) -> dict[str, Any]:
    """A single-turn run's body: its prompt is plain text, and it is there."""
    more = sorted(body.keys() - ONCE_FIELDS)
    if isinstance(body.get("prompt"), dict):
        more.append("state or reference files")
    if more:
        raise click.UsageError(
            f"--once takes an agent, a prompt, --working-dir and --thread, but not: {', '.join(more)}"
        )
    return {"prompt": "", **body}


def _continuous(body: dict[str, Any]) -> dict[str, Any]:
    if "thread_id" in body:
        raise click.UsageError("--thread is for --once; a continuous run has a thread of its own")
    return body


def _given(**fields: Any) -> dict[str, Any]:
    """The fields that say something: neither None nor empty."""
    return {name: value for name, value in fields.items() if value is not None and not _empty(value)}


def _empty(value: object) -> bool:
    return isinstance(value, Mapping | list) and not value

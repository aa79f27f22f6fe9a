"""From the options of `cody run` to its request: only what was given, so that the service's defaults hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TextIO

import click

from cody.cli.agent_options import AgentOptions

ONCE_FIELDS = frozenset({"agent", "prompt", "working_dir", "thread_id"})
"""What a single-turn run takes."""
_LOOPS: Final = frozenset({"max_turns", "loop_delay_seconds", "completion", "budget"})
"""Fields that speak of more than one turn."""


class Start(NamedTuple):
    """A request: its body, and whether it is for a run of one turn."""

    body: dict[str, Any]
    single: bool


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
class RunOptions(PromptOptions, AgentOptions):
    """The options of `cody run` that the request is made of."""

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

    def start(self) -> Start:
        """What to post. Raises click.UsageError for options that cannot go together.

        An agent that is no command takes one turn unless the options speak of more: its answer is what is waited for,
        and each further turn costs money.
        """
        body = self._body()
        if self.once:
            return Start(_single(body), single=True)
        if body["agent"]["kind"] == "command" or self.state_file or body.keys() & _LOOPS:
            return Start(_continuous(body), single=False)
        if _more_than_once_takes(body):
            return Start(_continuous({**body, "max_turns": 1}), single=False)
        return Start(body, single=True)

    def _body(self) -> dict[str, Any]:
        agent = self.agent_field()
        body = _given(
            agent=agent,
            working_dir=None if self.no_tools else self.working_dir,
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
        if agent["kind"] != "command" and not body.get("prompt"):
            raise click.UsageError(f"what shall {agent['kind']} do? Give it a --prompt or a --prompt-file")
        return body


def _single(body: dict[str, Any]) -> dict[str, Any]:
    """A single-turn run's body: its prompt is plain text, and it is there."""
    if more := _more_than_once_takes(body):
        raise click.UsageError(
            f"--once takes an agent, a prompt, --working-dir and --thread, but not: {', '.join(more)}"
        )
    return {"prompt": "", **body}


def _more_than_once_takes(body: dict[str, Any]) -> list[str]:
    """What of it only a continuous run can have."""
    more = sorted(body.keys() - ONCE_FIELDS)
    return [*more, "state or reference files"] if isinstance(body.get("prompt"), dict) else more


def _continuous(body: dict[str, Any]) -> dict[str, Any]:
    if "thread_id" in body:
        raise click.UsageError("--thread is for a single turn (--once); a continuous run has a thread of its own")
    return body


def _given(**fields: Any) -> dict[str, Any]:
    """The fields that say something: neither None nor empty."""
    return {name: value for name, value in fields.items() if value is not None and not _empty(value)}


def _empty(value: object) -> bool:
    return isinstance(value, Mapping | list) and not value

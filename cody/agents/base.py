"""The protocol of an agent: it gets a `Job`, tells a `Sink` what happens as it happens, and returns a `Result`.

Everything else is shared and stands outside: the log, retries, cancelling, the prompt, the watch on the working
directory, completion and the kept output (see `activities.turn`).
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cody.contract.agents import Agent as AgentSpec
from cody.contract.errors import ErrorInfo
from cody.contract.payloads import Payload
from cody.contract.usage import Usage


def now_ms() -> int:
    """Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


class Stop:
    """A request to end the turn early; who waits for `requested` ends it as gently as it can."""

    def __init__(self) -> None:
        self.requested = asyncio.Event()
        self.at: int | None = None
        """When it was first asked for, Unix milliseconds."""
        self.cause: str | None = None
        """Why it was first asked for; for the caller, an agent stops in the same way for every cause."""

    def request(self, cause: str = "asked") -> None:
        """Ask; asking again changes nothing."""
        if self.at is None:
            self.at, self.cause = now_ms(), cause
            self.requested.set()


@dataclass(frozen=True)
class OutputLimits:
    """How much `subprocess_output` a stream may say: per event, and how many events a second."""

    max_bytes: int = 2048
    max_events_per_second: int = 10


@dataclass(frozen=True)
class Job:
    """One attempt at one turn. `env` is the whole environment of the agent's processes, nothing is added to it."""

    run_id: str
    turn: int
    attempt: int
    turn_id: str
    response_id: str
    thread_id: str
    agent: AgentSpec
    prompt: str
    working_dir: Path | None
    env: Mapping[str, str]
    stop: Stop
    kill_grace_seconds: float = 5.0
    limits: OutputLimits = OutputLimits()
    carry: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the last turn or attempt left for this one, such as an agent's own session id."""


class Sink(Protocol):
    """Where an agent says what happens. `emit` and `keep` never block; `ready` waits while too much is unsent."""

    def emit(self, type_: str, payload: Payload) -> None:
        """Append an event of this attempt; `type_` is a key of `cody.contract.events.PAYLOADS`."""
        ...

    def keep(self, chunk: bytes) -> None:
        """Keep raw output (both streams as they came) for `…/turns/{turn}/output`."""
        ...

    async def ready(self) -> None:
        """Return when there is room; an agent calls it now and then while it says a lot."""
        ...


@dataclass(frozen=True)
class Quiet:
    """How the agent's processes ended: what they were sent, who was reaped, and who is left (nobody)."""

    at: int
    signals: tuple[str, ...] = ()
    reaped: tuple[int, ...] = ()
    survivors: tuple[int, ...] = ()


@dataclass(frozen=True)
class Result:
    """How the attempt ended. With `error` it failed; with `stopped` it was ended on request; else it did its turn."""

    quiet: Quiet
    error: ErrorInfo | None = None
    stopped: bool = False
    done: bool = False
    """The agent itself said that the goal is met."""
    finish_reason: str = "stop"
    usage: Usage | None = None
    carry: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Agent(Protocol):
    """Does turns of one kind."""

    async def run(self, job: Job, sink: Sink) -> Result:
        """Do the job; return as soon as its processes are gone. Raises only for bugs and lost fences."""
        ...

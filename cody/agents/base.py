"""The protocol of an agent: it gets a `Job`, tells a `Sink` what happens as it happens, and returns a `Result`.

Everything else is shared and stands outside: the log, retries, cancelling, the prompt, the watch on the working
directory, completion and the kept output (see `activities.turn`).
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cody.agents.connections import Connection
from cody.clock import now_ms
from cody.contract.agents import Agent as AgentSpec
from cody.contract.errors import ErrorInfo
from cody.contract.events import Event
from cody.contract.payloads import Payload, ResponseStart, TurnStarted
from cody.contract.threads import Exchange
from cody.contract.usage import Usage


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
class Patience:
    """How long a provider may be silent, in seconds: before its answer begins, and within it."""

    answer_seconds: float = 60.0
    silence_seconds: float = 300.0


class Memory(Protocol):
    """What was said before this attempt, read only when an agent asks for it."""

    async def thread(self) -> Sequence[Exchange]:
        """The earlier turns of the thread, also those of other runs and other agents, oldest first."""
        ...

    async def attempts(self) -> Sequence[Event[Payload]]:
        """The events of this turn's earlier attempts, as they stand in the log, but for the deltas of their items."""
        ...


class Blank:
    """The `Memory` of a first attempt at the first turn of a thread."""

    async def thread(self) -> Sequence[Exchange]:
        """Nothing."""
        return ()

    async def attempts(self) -> Sequence[Event[Payload]]:
        """Nothing."""
        return ()


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
    memory: Memory = field(default_factory=Blank)
    connection: Connection = field(default_factory=Connection)
    """Where the agent's provider is; in `env` only for agents that speak to it in a process of their own."""
    patience: Patience = Patience()


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

    async def settled(self) -> bool:
        """Wait until all that was emitted is in the log; False if the turn is to stop first.

        Before something that must not happen twice an agent emits that it begins, and does it only if this is True: a
        later attempt then finds it in `Memory.attempts`, and an attempt that was overtaken never gets here.
        """
        ...

    def remember(self, carry: Mapping[str, Any]) -> None:
        """What the next attempt gets as its `carry` if this one ends without a result; small, as Temporal keeps it."""
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


def begin(job: Job, sink: Sink, *, pid: int | None = None, model: str | None = None) -> None:
    """Say that the attempt begins: the first two events of each. `model` unless the job names one."""
    name = job.agent.model_name or model
    sink.emit("turn_started", TurnStarted(pid=pid, agent=job.agent.kind, model=name))
    start = ResponseStart(
        response_id=job.response_id,
        turn_id=job.turn_id,
        thread_id=job.thread_id,
        model_id=name or "unknown",
        provider_id=job.agent.kind,
        created_at=now_ms(),
    )
    sink.emit("response_start", start)

"""Turns of models as a worker does them, with a log in memory that ends early, as that of a worker that is killed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cody.agents.base import Agent, Job, Patience, Result, Stop
from cody.agents.connections import Connection
from cody.agents.environment import agent_environment
from cody.agents.sweep import worker_marker
from cody.contract.agents import OpenAIAgent
from cody.contract.cursor import Cursor
from cody.contract.events import Event, Speaker, TraceContext, encode, parse
from cody.contract.payloads import Payload, ResponseDone, ResponseError
from cody.contract.responses import Response
from cody.contract.threads import Exchange
from cody.fold import Folder

TRACE = TraceContext(traceparent="00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")


@dataclass
class Log:
    """The events of a turn's attempts, in the order in which they were appended."""

    events: list[Event[Payload]] = field(default_factory=list[Event[Payload]])

    def of(self, type_: str, attempt: int | None = None) -> list[Any]:
        """The payloads of this type, of all attempts unless told."""
        return [each.payload for each in self.events if each.type == type_ and attempt in {None, each.attempt}]

    def response(self) -> Response:
        """What all of it folds to."""
        folder = Folder(1)
        for number, event in enumerate(self.events, start=1):
            folder.feed(Cursor(number, 1000 + event.attempt), event.type, event)
        response = folder.response()
        assert response is not None
        return response


class Memory:
    """What the log and the thread hold."""

    def __init__(self, log: Log, thread: Sequence[Exchange] = ()) -> None:
        self._log, self._thread = log, thread

    async def thread(self) -> Sequence[Exchange]:
        return self._thread

    async def attempts(self) -> Sequence[Event[Payload]]:
        return tuple(self._log.events)


class LogSink:
    """Appends to a log what one attempt says, as bytes and back; after `capacity` events the worker is dead."""

    def __init__(self, log: Log, job: Job, capacity: int | None = None) -> None:
        self._log, self._stop, self._capacity = log, job.stop, capacity
        self._speaker = Speaker(run_id=job.run_id, turn=job.turn, attempt=job.attempt, trace_context=TRACE)
        self._number = 0
        self.dead = asyncio.Event()
        self.raw = bytearray()

    def emit(self, type_: str, payload: Payload) -> None:
        if self._capacity is not None and self._number >= self._capacity:
            self.dead.set()
            return
        self._number += 1
        self._log.events.append(parse(type_, encode(self._speaker, self._number, type_, 1764000000000, payload)))

    def keep(self, chunk: bytes) -> None:
        self.raw += chunk

    async def ready(self) -> None:
        return

    async def settled(self) -> bool:
        if self.dead.is_set():
            await self._stop.requested.wait()
        return not self._stop.requested.is_set()

    def remember(self, carry: object) -> None:
        raise AssertionError("a model's turn has nothing to remember")


def make_job(log: Log, **changes: Any) -> Job:
    """The first attempt of a turn of an `openai` agent, unless told."""
    env = agent_environment({}, {}, run_id="run_1", turn=1, attempt=changes.get("attempt", 1), worker=worker_marker())
    fields: dict[str, Any] = {
        "run_id": "run_1",
        "turn": 1,
        "attempt": 1,
        "turn_id": "turn_1_1",
        "response_id": "resp_1_1",
        "thread_id": "thread_1",
        "agent": OpenAIAgent(kind="openai", model="gpt-5-mini"),
        "prompt": "Go.",
        "working_dir": None,
        "env": env,
        "stop": Stop(),
        "memory": Memory(log, changes.pop("thread", ())),
        "patience": Patience(answer_seconds=20.0, silence_seconds=20.0),
    }
    return Job(**(fields | changes))


async def take_turn(agent: Agent, log: Log, job: Job) -> Result:
    """Run an attempt to its end, and say how it ended as `activities.attempt` does."""
    sink = LogSink(log, job)
    result = await agent.run(job, sink)
    if result.error is not None:
        sink.emit("response_error", ResponseError(response_id=job.response_id, error=result.error))
    else:
        status = "aborted" if result.stopped else "complete"
        done = ResponseDone(
            response_id=job.response_id, status=status, usage=result.usage, finish_reason=result.finish_reason
        )
        sink.emit("response_done", done)
    return result


def connected(base_url: str) -> Connection:
    """To a provider without a key."""
    return Connection(base_url=base_url, api_key="sk-test")

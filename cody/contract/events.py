"""The event: its types, its envelope, and its JSON.

An event is validated once, where it enters, and is bytes from there on. `encode` writes those bytes; `parse` is for
readers that need what is inside (the fold). Both agree with `Event` to the byte, which the golden files pin.
"""

from functools import cached_property
from typing import Any, Final, Generic, Literal, TypeVar, cast

from pydantic import Field, create_model

from cody.contract import payloads as p
from cody.contract.base import Maybe, Millis, Model
from cody.contract.cursor import epoch_of

PayloadT = TypeVar("PayloadT", bound=p.Payload, covariant=True)

PAYLOADS: Final[dict[str, type[p.Payload]]] = {
    "response_start": p.ResponseStart,
    "item_start": p.ItemStart,
    "item_delta": p.ItemDelta,
    "item_done": p.ItemDone,
    "item_error": p.ItemFailed,
    "item_cancelled": p.ItemCancelled,
    "script_execution_start": p.ScriptExecutionStart,
    "script_execution_done": p.ScriptExecutionDone,
    "script_execution_error": p.ScriptExecutionError,
    "usage_update": p.UsageUpdate,
    "response_done": p.ResponseDone,
    "response_error": p.ResponseError,
    "turn_aborted_by_user": p.TurnAborted,
    "run_queued": p.RunChanged,
    "run_started": p.RunChanged,
    "run_pausing": p.RunChanged,
    "run_paused": p.RunChanged,
    "run_resumed": p.RunChanged,
    "run_cancelling": p.RunChanged,
    "run_completed": p.RunCompleted,
    "run_failed": p.RunFailed,
    "run_cancelled": p.RunCancelled,
    "turn_started": p.TurnStarted,
    "turn_completed": p.TurnCompleted,
    "turn_failed": p.TurnFailed,
    "subprocess_output": p.SubprocessOutput,
    "file_read": p.FileRead,
    "file_written": p.FileWritten,
    "file_deleted": p.FileDeleted,
    "log_updated": p.LogUpdated,
    "test_run_started": p.TestRunStarted,
    "test_run_completed": p.TestRunCompleted,
    "token_usage": p.TokenUsage,
    "completion_detected": p.CompletionDetected,
    "warning": p.Warned,
    "log_gap": p.LogGap,
}
"""The contract's table: each event type and the shape of its payload."""

TERMINAL: Final = frozenset({"run_completed", "run_failed", "run_cancelled"})
"""Exactly one of these ends every run, and nothing follows it."""

ATTEMPT_ENDS: Final = frozenset({"turn_completed", "turn_failed", "turn_aborted_by_user"})
"""One of these ends every attempt that a newer one does not supersede."""

TELEMETRY: Final = frozenset(
    {
        "file_read",
        "file_written",
        "file_deleted",
        "log_updated",
        "test_run_started",
        "test_run_completed",
        "token_usage",
        "completion_detected",
        "warning",
    }
)
"""What an agent's process may say for itself in a `__cody_event__` line."""


class TraceContext(Model):
    """W3C trace context of the request that started the run."""

    traceparent: str
    tracestate: Maybe[str] = None


class Event(Model, Generic[PayloadT]):
    """One thing that happened in a run. `turn` and `attempt` are 0 outside a turn."""

    event_id: str = Field(description="`run:turn:attempt:number`, the same however often the event is delivered.")
    type: str
    timestamp: Millis
    run_id: str
    turn: int = 0
    attempt: int = 0
    trace_context: TraceContext
    payload: PayloadT


def _typed(name: str, payload: type[p.Payload]) -> type[Event[p.Payload]]:
    """`Event` narrowed to one type, so that pydantic picks the payload's model by the envelope's `type`."""
    # Types made at run time are beyond a type checker.
    base, literal = cast("Any", Event)[payload], cast("Any", Literal)[name]
    made = create_model(payload.__name__ + "Event", __base__=base, __doc__=payload.__doc__, type=(literal, name))
    return cast("type[Event[p.Payload]]", made)


EVENTS: Final[dict[str, type[Event[p.Payload]]]] = {name: _typed(name, payload) for name, payload in PAYLOADS.items()}


def parse(type_: str, raw: bytes | str) -> Event[p.Payload]:
    """The event in `raw`, whose type the log entry's own field already told.

    Raises KeyError for a type this version does not know, ValidationError for JSON that is not such an event.
    """
    return EVENTS[type_].model_validate_json(raw)


class _Stamped(Model):
    timestamp: Millis


def said_at(raw: bytes | str) -> Millis:
    """When the event in `raw` was said, of whatever type it is."""
    return _Stamped.model_validate_json(raw).timestamp


def beginning(run_id: str, turn: int, attempt: int) -> bytes:
    """How the JSON of an attempt's events begins, so that who said one is told without reading it."""
    return f'{{"event_id":"{run_id}:{turn}:{attempt}:'.encode()


class Speaker(Model):
    """Who is speaking: a turn's attempt, or the run itself (`0:0`)."""

    run_id: str
    turn: int = 0
    attempt: int = 0
    trace_context: TraceContext

    @property
    def epoch(self) -> int:
        """The second half of an entry id: turn * 1000 + attempt."""
        return epoch_of(self.turn, self.attempt)

    @cached_property
    def begin(self) -> bytes:
        """How the JSON of this speaker's events begins."""
        return beginning(self.run_id, self.turn, self.attempt)

    @cached_property
    def spoken(self) -> bytes:
        """What of the envelope is the same in all of this speaker's events, as JSON."""
        return (
            f'"run_id":"{self.run_id}","turn":{self.turn},"attempt":{self.attempt},'
            f'"trace_context":{self.trace_context.model_dump_json()}'
        ).encode()


def encode(speaker: Speaker, number: int, type_: str, timestamp: Millis, payload: p.Payload) -> bytes:
    """The event's JSON on one line; `number` is its place among its writer's events, from 1."""
    # As `model_dump_json`, without what that does for arguments which are not given: half of the time.
    said = payload.__pydantic_serializer__.to_json(payload, by_alias=True)
    return b'%s%d","type":"%s","timestamp":%d,%s,"payload":%s}' % (
        speaker.begin, number, type_.encode(), timestamp, speaker.spoken, said,
    )  # fmt: skip

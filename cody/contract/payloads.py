"""The payload of every event, one frozen model each, in the order of the contract's table."""

from typing import Any, Literal

from pydantic import ConfigDict, Field, NonNegativeInt

from cody.contract.base import Maybe, Millis, Model
from cody.contract.errors import ErrorInfo
from cody.contract.items import Item, ItemType, Origin
from cody.contract.usage import Usage


class Payload(Model):
    """What an event says beyond who said it and when."""

    model_config = ConfigDict(populate_by_name=True)


# The response and its items.


class ResponseStart(Payload):
    """A response begins; repeated by a newer attempt with the same `response_id`."""

    response_id: str
    turn_id: str
    thread_id: str
    agent_id: Maybe[str] = None
    model_id: str
    provider_id: str
    created_at: Millis


class ItemStart(Payload):
    """An item takes its place in the response."""

    item_id: str
    item_type: ItemType
    initial_content: Maybe[str] = None
    name: Maybe[str] = None
    arguments: Maybe[str] = None
    call_id: Maybe[str] = None
    origin: Maybe[Origin] = None


class ItemDelta(Payload):
    """More text of a message or reasoning, or more argument text of a function_call."""

    item_id: str
    delta_content: str


class ItemDone(Payload):
    """The whole item; it replaces what the deltas built."""

    item_id: str
    final_item: Item
    replay: Maybe[dict[str, Any]] = Field(
        default=None, description="The item as its provider wants it back, for the attempts that go on from here."
    )


class ItemFailed(Payload):
    """`item_error`: the item will not be finished."""

    item_id: str
    error: ErrorInfo


class ItemCancelled(Payload):
    """The item was under way when the turn was stopped."""

    item_id: str
    reason: Maybe[str] = None


class ScriptExecutionStart(Payload):
    """Code starts to run."""

    item_id: str
    code: str


class ScriptExecutionDone(Payload):
    """Code ran to its end."""

    item_id: str
    result: str
    success: bool


class ScriptExecutionError(Payload):
    """Code could not be run to its end."""

    item_id: str
    error: ErrorInfo


class UsageUpdate(Payload):
    """The attempt's total so far (not an increment)."""

    response_id: str
    usage: Usage


class ResponseDone(Payload):
    """The response is whole."""

    response_id: str
    status: Literal["complete", "error", "aborted"]
    usage: Maybe[Usage] = None
    finish_reason: str


class ResponseError(Payload):
    """The response failed."""

    response_id: str
    error: ErrorInfo


class TurnAborted(Payload):
    """`turn_aborted_by_user`: the end of an attempt that a cancel or a pause `now` interrupted."""

    turn_id: str
    reason: str


# The run.


class RunChanged(Payload):
    """`run_queued`, `run_started`, `run_pausing`, `run_paused`, `run_resumed`, `run_cancelling`."""

    reason: Maybe[str] = None


CompletionReason = Literal["completion", "stop_file", "max_turns", "budget", "single_turn"]
CompletionSource = Literal["pattern", "stop_file", "agent"]


class CompletionVerdict(Model):
    """Whether, and by what, a run was found to be complete."""

    detected: bool = False
    source: Maybe[CompletionSource] = None
    line: Maybe[str] = None


class RunCompleted(Payload):
    """The run reached its end."""

    reason: CompletionReason
    completion: Maybe[CompletionVerdict] = None


class RunFailed(Payload):
    """The run ended by a failure."""

    error: ErrorInfo


class Receipt(Model):
    """Proof of a cancel: what was asked of whom, who was reaped, and who is left (nobody)."""

    requested_at: Millis
    quiet_at: Millis
    signals: tuple[str, ...] = ()
    reaped: tuple[int, ...] = ()
    survivors: tuple[int, ...] = ()
    tokens: NonNegativeInt = 0
    worker_lost: Maybe[bool] = None


class RunCancelled(Payload):
    """The run was cancelled."""

    reason: str
    receipt: Receipt


# The turn.


class TurnStarted(Payload):
    """An attempt begins; an attempt above 1 supersedes what the attempt before it said in this turn."""

    pid: Maybe[int] = None
    agent: str
    model: Maybe[str] = None


class TurnCompleted(Payload):
    """The attempt did its turn."""

    usage: Maybe[Usage] = None
    should_continue: bool


class TurnFailed(Payload):
    """The attempt failed."""

    error: ErrorInfo
    will_retry: bool


class SubprocessOutput(Payload):
    """Text of a process; `omitted_bytes` were withheld just before it."""

    stream: Literal["stdout", "stderr"]
    text: str
    omitted_bytes: NonNegativeInt = 0


class FileRead(Payload):
    """A file was read; `path` is relative to the working directory."""

    path: str
    bytes: Maybe[NonNegativeInt] = None


class FileWritten(Payload):
    """A file was made or changed; `path` is relative to the working directory."""

    path: str
    bytes: Maybe[NonNegativeInt] = None


class FileDeleted(Payload):
    """A file is gone; `path` is relative to the working directory."""

    path: str
    bytes: Maybe[NonNegativeInt] = None


class LogDelta(Model):
    """What was added to a log since the last report; `tail` is its last lines, 20 at most."""

    added_bytes: NonNegativeInt
    added_lines: NonNegativeInt
    tail: tuple[str, ...] = ()


class LogUpdated(Payload):
    """A watched log grew; `kind` is its name."""

    kind: str
    path: str
    delta: LogDelta


class TestRunStarted(Payload):
    """The agent's tests start."""

    __test__ = False  # not a pytest class, whatever its name

    command: str


class TestRunCompleted(Payload):
    """The agent's tests ended."""

    __test__ = False

    command: str
    passed: NonNegativeInt = 0
    failed: NonNegativeInt = 0
    skipped: NonNegativeInt = 0
    duration_ms: Maybe[NonNegativeInt] = None


class TokenUsage(Payload):
    """An increment to the attempt's token count."""

    prompt_tokens: NonNegativeInt = 0
    completion_tokens: NonNegativeInt = 0
    total_tokens: NonNegativeInt = 0


class CompletionDetected(Payload):
    """The goal is met: by a line of the log, by the stop file, or because the agent says so."""

    source: CompletionSource
    line: Maybe[str] = None


class Warned(Payload):
    """`warning`: something a person should know that ends nothing."""

    code: str
    message: str


class LogGap(Payload):
    """SEQs `from` to `to` are lost for good: the one exception to density."""

    from_: NonNegativeInt = Field(alias="from")
    to: NonNegativeInt

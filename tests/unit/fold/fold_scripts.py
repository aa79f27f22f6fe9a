"""What tests of the fold are made of: a log written by hand, and a strategy for whole runs of realistic events."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from hypothesis import strategies as st

from cody.contract import payloads as p
from cody.contract.cursor import Cursor, epoch_of
from cody.contract.errors import ErrorInfo
from cody.contract.events import PAYLOADS, Speaker, TraceContext, encode
from cody.contract.usage import Usage

TRACE = TraceContext(traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
ERROR = {"code": "agent_exit", "message": "exit code 3", "retryable": True}


class Entry(NamedTuple):
    """One log entry, and who said it."""

    cursor: Cursor
    type: str
    event: bytes
    turn: int
    attempt: int


class Say(NamedTuple):
    """An event before it has its place in a log."""

    type: str
    payload: dict[str, Any]
    turn: int = 1
    attempt: int = 1


def log(says: Iterable[Say]) -> list[Entry]:
    """Number them as the log does: dense from 1, events outside a turn with the newest epoch; 1 ms apart."""
    entries: list[Entry] = []
    epoch = 0
    for seq, say in enumerate(says, 1):
        epoch = max(epoch, epoch_of(say.turn, say.attempt))
        speaker = Speaker(run_id="run_1", turn=say.turn, attempt=say.attempt, trace_context=TRACE)
        payload = PAYLOADS[say.type].model_validate(say.payload) if say.type in PAYLOADS else p.Payload()
        event = encode(speaker, seq, say.type, 1_764_000_000_000 + seq, payload)
        entries.append(Entry(Cursor(seq, epoch), say.type, event, say.turn, say.attempt))
    return entries


def begin(turn: int = 1, attempt: int = 1) -> list[Say]:
    """An attempt up to where its items begin."""
    return [Say("turn_started", {"agent": "codex", "pid": 7}, turn, attempt), response_start(turn, attempt)]


def response_start(turn: int = 1, attempt: int = 1) -> Say:
    """The start of a turn's response; each attempt has a model of its own, to tell them apart."""
    ids = {"response_id": f"resp_{turn}", "turn_id": f"turn_{turn}", "thread_id": "thread_1"}
    rest = {"model_id": f"model-{attempt}", "provider_id": "openai", "created_at": 1000 * turn + attempt}
    return Say("response_start", ids | rest, turn, attempt)


def usage(prompt: int, completion: int) -> dict[str, int]:
    """A usage whose total adds up."""
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def feed(folder: Any, entries: Iterable[Entry]) -> Any:
    """Feed all entries; gives the folder back."""
    for entry in entries:
        folder.feed(entry.cursor, entry.type, entry.event)
    return folder


TEXT = st.text(max_size=6)
USAGE = st.builds(usage, st.integers(0, 50), st.integers(0, 50))
OUTSIDE = ["run_started", "run_pausing", "run_paused", "run_resumed", "warning"]


@st.composite
def item(draw: st.DrawFn, item_id: str) -> list[tuple[str, dict[str, Any]]]:
    """One item's events, in their order; it may stay open."""
    type_ = draw(st.sampled_from(["message", "reasoning", "function_call", "script", "function_call_output"]))
    named: dict[str, Any] = {"item_id": item_id}
    if type_ == "script":
        end = draw(st.sampled_from([("done", {"result": "3 passed", "success": True}), ("error", {"error": ERROR})]))
        start = ("script_execution_start", named | {"code": "pytest -q"})
        return [start, (f"script_execution_{end[0]}", named | end[1])][: draw(st.integers(1, 2))]
    call = {"name": "shell", "call_id": "c1"} if type_.startswith("function") else {}
    initial = draw(st.sampled_from([{}, {"initial_content": "a"}]))
    said = [("item_start", named | {"item_type": type_} | call | initial)]
    if type_ != "function_call_output":
        said += [("item_delta", named | {"delta_content": text}) for text in draw(st.lists(TEXT, max_size=5))]
    whole = {"message": {"content": "whole"}, "reasoning": {"content": "whole"}, "function_call": call}
    final = {"id": item_id, "type": type_} | whole.get(type_, {"call_id": "c1", "output": "ok", "success": True})
    ends: list[list[tuple[str, dict[str, Any]]]] = [
        [],
        [("item_done", named | {"final_item": final})],
        [("item_error", named | {"error": ERROR})],
        [("item_cancelled", named | {"reason": "manual"})],
    ]
    return said + draw(st.sampled_from(ends))


@st.composite
def body(draw: st.DrawFn, turn: int) -> list[tuple[str, dict[str, Any]]]:
    """Items of one attempt, interleaved with each other, with token counts and with telemetry."""
    queues = [draw(item(f"item_{number}")) for number in range(draw(st.integers(0, 4)))]
    queues.append([("token_usage", u) for u in draw(st.lists(USAGE, max_size=2))])
    queues.append(
        [("usage_update", {"response_id": f"resp_{turn}", "usage": u}) for u in draw(st.lists(USAGE, max_size=2))]
    )
    queues.append([("subprocess_output", {"stream": "stdout", "text": "x"})] * draw(st.integers(0, 2)))
    queues.append([("from_the_future", {})] * draw(st.integers(0, 1)))
    said: list[tuple[str, dict[str, Any]]] = []
    while queues := [queue for queue in queues if queue]:
        said.append(draw(st.sampled_from(queues)).pop(0))
    return said


STRAY = st.sampled_from(
    [
        ("item_delta", {"item_id": "item_0", "delta_content": "stray"}),
        ("item_delta", {"item_id": "nobody", "delta_content": "stray"}),
        ("item_start", {"item_id": "item_0", "item_type": "message"}),
        ("item_error", {"item_id": "item_1", "error": ERROR}),
        ("item_cancelled", {"item_id": "nobody"}),
        ("item_done", {"item_id": "item_1", "final_item": {"id": "item_1", "type": "message", "content": "stray"}}),
        ("script_execution_done", {"item_id": "item_2", "result": "stray", "success": True}),
        ("response_done", {"response_id": "resp_1", "status": "complete", "finish_reason": "stop"}),
        ("response_error", {"response_id": "resp_2", "error": ERROR}),
        ("usage_update", {"response_id": "resp_1", "usage": usage(5, 5)}),
    ]
)


@st.composite
def attempt(draw: st.DrawFn, turn: int, number: int, *, last: bool, stray: bool) -> list[Say]:
    """One attempt: whole, or cut off anywhere if a newer one follows; `stray` adds events that break the order."""
    said = [(say.type, say.payload) for say in begin(turn, number)] + draw(body(turn))
    done = {"response_id": f"resp_{turn}", "status": draw(st.sampled_from(["complete", "error", "aborted"]))}
    ends = {
        "turn_completed": {"should_continue": True},
        "turn_failed": {"error": ERROR, "will_retry": False},
        "turn_aborted_by_user": {"turn_id": f"turn_{turn}", "reason": "manual"},
    }
    end = draw(st.sampled_from(sorted(ends)))
    extra = draw(st.sampled_from([{}, {"usage": usage(30, 3)}]))
    if draw(st.booleans()):
        said.append(("response_done", done | extra | {"finish_reason": "stop"}))
    said.append((end, ends[end] | (extra if end == "turn_completed" else {})))
    if not last:
        said = said[: draw(st.integers(1, len(said)))]
    for event in draw(st.lists(STRAY, max_size=3)) if stray else []:
        said.insert(draw(st.integers(0, len(said))), event)
    return [Say(type_, payload, turn, number) for type_, payload in said]


@st.composite
def runs(draw: st.DrawFn, *, stray: bool = True) -> list[Entry]:
    """A run's whole log: one to three turns of one to three attempts, lifecycle events strewn in, a terminal event."""
    says: list[Say] = []
    for turn in range(1, 1 + draw(st.integers(1, 3))):
        attempts = draw(st.integers(1, 3))
        for number in range(1, 1 + attempts):
            says += draw(attempt(turn, number, last=number == attempts, stray=stray))
    for type_ in draw(st.lists(st.sampled_from(OUTSIDE), max_size=4)):
        payload = {"code": "c", "message": "m"} if type_ == "warning" else {}
        says.insert(draw(st.integers(0, len(says))), Say(type_, payload, 0, 0))
    says.insert(0, Say("run_queued", {}, 0, 0))
    return log([*says, Say("run_completed", {"reason": "max_turns"}, 0, 0)])


def error_info(**changes: Any) -> ErrorInfo:
    """ERROR as its model."""
    return ErrorInfo.model_validate(ERROR | changes)


def usage_of(prompt: int, completion: int) -> Usage:
    """`usage` as its model."""
    return Usage.model_validate(usage(prompt, completion))

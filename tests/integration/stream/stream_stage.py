"""What tests of the log are made of: speakers, payloads, and what a log says of itself."""

import json
from collections.abc import Sequence
from typing import Any

from cody.contract.events import ATTEMPT_ENDS, TERMINAL, Speaker, TraceContext, encode
from cody.contract.payloads import ItemDelta, Payload, TurnAborted
from cody.stream.entry import Entry
from cody.stream.log import Log

TRACE = TraceContext(traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
AT = 1_764_000_000_000


def speaker(run_id: str, turn: int = 0, attempt: int = 0) -> Speaker:
    return Speaker(run_id=run_id, turn=turn, attempt=attempt, trace_context=TRACE)


def text(content: str) -> Payload:
    return ItemDelta(item_id="msg_1", delta_content=content)


def aborted(turn: int = 1) -> Payload:
    return TurnAborted(turn_id=f"turn_{turn}", reason="manual")


def events(who: Speaker, first: int, types: Sequence[str]) -> list[tuple[str, bytes]]:
    """Events of a writer as `Log.append` takes them; the log looks at their types only."""
    return [(type_, encode(who, first + n, type_, AT, Payload())) for n, type_ in enumerate(types)]


async def say(log: Log, run_id: str, number: int, *types: str, turn: int = 1, attempt: int = 1) -> None:
    """Append events of an attempt; they have to be new."""
    who = speaker(run_id, turn, attempt)
    done = await log.append(run_id, who.epoch, number, events(who, number, types or ("item_delta",)))
    assert (done.outcome, done.count) == ("ok", len(types) or 1), done


async def whole(log: Log, run_id: str) -> list[Entry]:
    """All entries of a log."""
    found: list[Entry] = []
    while more := await log.after(run_id, found[-1].seq if found else 0):
        found.extend(more)
    return found


def told(entry: Entry) -> dict[str, Any]:
    return json.loads(entry.event)


def place(entry: Entry) -> tuple[int, int, int]:
    """Turn, attempt and number of an event."""
    turn, attempt, number = told(entry)["event_id"].rsplit(":", 3)[1:]
    return int(turn), int(attempt), int(number)


def assert_lawful(entries: Sequence[Entry]) -> None:
    """What the contract promises of every log, whatever its writers did."""
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    newest, ended, over = 0, 0, False
    numbers: dict[int, int] = {}
    for entry in entries:
        turn, attempt, number = place(entry)
        epoch = turn * 1000 + attempt
        assert not over, "after a terminal event"
        if epoch:
            assert epoch >= newest, "an older attempt after a newer one"
            assert epoch != ended, "after the attempt's end"
            newest = epoch
        assert entry.epoch == newest
        assert number == numbers.get(epoch, 0) + 1, "a writer's numbers: in order, none twice, none left out"
        numbers[epoch] = number
        ended = epoch if epoch and entry.type in ATTEMPT_ENDS else ended
        over = entry.type in TERMINAL

"""What is true of every run that ended, whatever happened to it."""

from collections.abc import Sequence
from typing import Any

import psutil

from cody.contract.cursor import Cursor
from cody.fold import RunFolder
from tests.service import Run

TERMINAL = {"run_completed", "run_failed", "run_cancelled"}
ATTEMPT_ENDS = {"turn_completed", "turn_failed", "turn_aborted_by_user"}


def check_ended(run: Run) -> list[dict[str, Any]]:
    """One terminal event, the last; a dense log; every attempt ended once; hydrated as persisted. Gives the events."""
    with run.stream() as stream:
        frames = [frame for frame in stream if frame.event]
    assert [frame.seq for frame in frames] == list(range(1, len(frames) + 1))
    events = [frame.json for frame in frames]
    assert [event["type"] for event in events if event["type"] in TERMINAL] == [events[-1]["type"]]
    assert len({event["event_id"] for event in events}) == len(events)
    _check_attempts(events)
    folder = RunFolder()
    for frame in frames:
        assert frame.id is not None
        assert frame.event is not None
        assert frame.data is not None
        folder.feed(Cursor.parse(frame.id), frame.event, frame.data)
    hydrated = [response.model_dump(mode="json") for response in folder.responses.values()]
    assert hydrated == run.responses()
    snapshot = run.snapshot()
    assert snapshot["status"] == folder.status
    assert snapshot["stats"]["tokens"] == folder.tokens.total_tokens
    return events


def _check_attempts(events: Sequence[dict[str, Any]]) -> None:
    """Each attempt that started ended once, or a newer one of its turn superseded it; the last one has its end."""
    started = [(event["turn"], event["attempt"]) for event in events if event["type"] == "turn_started"]
    ended = [(event["turn"], event["attempt"]) for event in events if event["type"] in ATTEMPT_ENDS]
    assert started == sorted(set(started))
    assert len(ended) == len(set(ended))
    last_of_turn = dict(started)
    assert set(last_of_turn.items()) <= set(ended)
    assert set(ended) <= set(started)


def types(events: Sequence[dict[str, Any]], *wanted: str) -> list[str]:
    """The types in order, of these only."""
    return [event["type"] for event in events if event["type"] in wanted]


def processes_of(run: Run) -> list[psutil.Process]:
    """Processes that carry the run's mark, whoever their parent is."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CODY_RUN_ID") == run.id and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found

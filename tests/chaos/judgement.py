"""Whether everything that was promised is true after a round."""

import json
from collections.abc import Sequence
from typing import Any

from cody.contract.cursor import Cursor
from cody.fold import RunFolder
from tests.chaos.clients import Client, Seen
from tests.chaos.ground import PATIENCE_SECONDS
from tests.chaos.load import insisted
from tests.chaos.past import Past
from tests.e2e.runs.checks import TERMINAL, processes_of
from tests.service import Run, eventually

GAP = "log_gap"


def judge_run(run: Run, clients: Sequence[Client], past: Past) -> int:
    """All of what is true of a run that has ended; gives how many gaps its log has. AssertionError says what is not."""
    whole = _anew(run)
    gaps = [entry for entry in whole if entry.type == GAP]
    may_have_lost = past.may_have_lost(run.id, run.accepted["created_at"])
    assert may_have_lost or not gaps, f"{run.id} has lost what a writer that lives had appended: {gaps}"
    _check_dense(run.id, whole)
    assert [entry.type for entry in whole if entry.type in TERMINAL] == [whole[-1].type], f"{run.id}: its end"
    assert len({json.loads(entry.event)["event_id"] for entry in whole}) == len(whole), f"{run.id}: an event twice"
    for client in clients:
        _check_client(client, whole)
    _check_documents(run, whole)
    eventually(lambda: not processes_of(run), PATIENCE_SECONDS, f"no process of {run.id} is left")
    return len(gaps)


def _anew(run: Run) -> list[Seen]:
    """The whole log as a client gets it that comes now."""
    client = Client(run, "anew")
    client.join(PATIENCE_SECONDS)
    assert not client.is_alive(), f"{run.id} cannot be read to its end"
    if client.fault is not None:
        raise client.fault
    return client.seen


def _check_dense(whose: object, entries: Sequence[Seen]) -> None:
    """Each SEQ follows on the one before it, or is a gap that names what does not come."""
    expected = 1
    for entry in entries:
        if entry.type == GAP and entry.seq >= expected:
            gap = json.loads(entry.event)["payload"]
            assert gap["from"] <= expected <= gap["to"] + 1, f"{whose}: {entry} where {expected} was to come"
            assert entry.seq - gap["to"] in {0, 1}, f"{whose}: {entry}"
        else:
            assert entry.seq == expected, f"{whose}: {entry} where {expected} was to come"
        expected = entry.seq + 1


def _check_client(client: Client, whole: Sequence[Seen]) -> None:
    """It saw each SEQ once and in order, and nothing else than is served now, but for what a gap has taken since."""
    client.join(PATIENCE_SECONDS)
    assert not client.is_alive(), f"{client} has not come to the end: {client.seen[-1:]} after {client.visits} visits"
    if client.fault is not None:
        raise client.fault
    _check_dense(client, client.seen)
    kept = {entry.seq: entry for entry in whole}
    for seen in client.seen:
        now = kept.get(seen.seq)
        if now != seen and (now is None or now.type != GAP):
            assert _is_gone(seen.seq, whole), f"{client}: SEQ {seen.seq} was {seen} and is {now}"
    assert client.seen[-1] == whole[-1], f"{client}: {client.seen[-1]}, not {whole[-1]}"


def _is_gone(seq: int, whole: Sequence[Seen]) -> bool:
    payloads = [json.loads(entry.event)["payload"] for entry in whole if entry.type == GAP]
    return any(gap["from"] <= seq <= gap["to"] for gap in payloads)


def _check_documents(run: Run, whole: Sequence[Seen]) -> None:
    """What the stream folds to is what is stored; where a gap is in a turn, its document is all there is."""
    folder = RunFolder()
    for entry in whole:
        folder.feed(Cursor.parse(entry.id), entry.type, entry.event)
    snapshot = _got(run, "")
    stored = {response["turn"]: response for response in _got(run, "/responses")["responses"]}
    folded = {turn: response.model_dump(mode="json") for turn, response in folder.responses.items()}
    broken = _turns_with_a_gap(whole, max(folded.keys() | stored.keys(), default=0))
    for turn in (folded.keys() | stored.keys()) - broken:
        ours, theirs = folded.get(turn), stored.get(turn)
        assert ours == theirs, f"{run.id} turn {turn}: hydrated {ours}, persisted {theirs}"
    for turn in broken & stored.keys():
        assert stored[turn]["status"] in {"complete", "error", "aborted"}, f"{run.id}: {stored[turn]}"
    assert snapshot["status"] == folder.status, f"{run.id}: {snapshot['status']}, hydrated {folder.status}"
    if snapshot["status"] == "completed":
        assert stored[snapshot["current_turn"]]["status"] == "complete", f"{run.id}: {stored}"
    if not broken:
        assert snapshot["stats"]["tokens"] == folder.tokens.total_tokens, f"{run.id}: {snapshot}, {folder.tokens}"


def _turns_with_a_gap(whole: Sequence[Seen], last: int) -> set[int]:
    """Turns of which something may be gone: those next to a gap, and those that it may have swallowed."""
    broken: set[int] = set()
    turns = [json.loads(entry.event)["turn"] for entry in whole]
    for place, entry in enumerate(whole):
        if entry.type == GAP:
            before = max(turns[:place], default=0)
            after = next((turn for turn in turns[place:] if turn), last)
            broken |= set(range(max(before, 1), after + 1))
    return broken


def _got(run: Run, what: str) -> dict[str, Any]:
    return insisted(lambda: run.service.http.get(run.path + what)).raise_for_status().json()

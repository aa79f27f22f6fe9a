"""Hypothesis on the fold: redelivery, crashes, splits, attempts, broken order, hydration."""

import itertools
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from cody.contract.items import Item
from cody.contract.responses import Response
from cody.fold import Checkpoint, Folder, RunFolder, text_of, with_text
from tests.unit.fold.fold_scripts import STRAY, Entry, Say, begin, feed, log, runs

items: TypeAdapter[Item] = TypeAdapter(Item)
common = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])


class Store:
    """What a projector saves, as JSON: the header, an item per row and the pieces of its text, the checkpoint."""

    def __init__(self) -> None:
        self.header: str | None = None
        self.rows: dict[int, str] = {}
        self.state: str | None = None

    def save(self, folder: Folder) -> None:
        changes = folder.take_dirty()
        if changes.emptied:
            self.rows.clear()
        self.rows |= {position: item.model_dump_json() for position, item in changes.items}
        for position, start, text in changes.pieces:
            item = items.validate_json(self.rows[position])
            assert len(text_of(item)) == start
            self.rows[position] = with_text(item, text_of(item) + text).model_dump_json()
        header = folder.header()
        self.header = header and header.model_dump_json()
        self.state = folder.checkpoint().model_dump_json()

    def load(self, turn: int) -> Folder:
        state = Checkpoint.model_validate_json(self.state) if self.state else None
        return Folder(turn, self.document(), state)

    def document(self) -> Response | None:
        if self.header is None:
            return None
        rows = [json.loads(self.rows[position]) for position in sorted(self.rows)]
        return Response.model_validate(json.loads(self.header) | {"output_items": rows})


def turns(entries: list[Entry]) -> list[int]:
    return sorted({entry.turn for entry in entries if entry.turn})


def outcome(folder: Folder) -> tuple[Any, ...]:
    return folder.response(), folder.tally, folder.ended, folder.cursor


@common
@given(runs(), st.data())
def test_redelivery_changes_nothing(entries: list[Entry], data: st.DataObject) -> None:
    for turn in turns(entries):
        once, again = feed(Folder(turn), entries), Folder(turn)
        at = 0
        while at < len(entries):
            upto = data.draw(st.integers(at + 1, len(entries)), label="read up to")
            back = data.draw(st.integers(0, at), label="from")
            feed(again, entries[back:upto])
            at = upto
        feed(again, entries)
        assert outcome(again) == outcome(once)
        assert not any(again.feed(entry.cursor, entry.type, entry.event) for entry in entries)


@common
@given(runs(), st.data())
def test_a_crash_at_any_point_loses_nothing(entries: list[Entry], data: st.DataObject) -> None:
    for turn in turns(entries):
        store = Store()
        for _ in range(data.draw(st.integers(0, 3), label="crashes")):
            folder = store.load(turn)
            after = folder.cursor.seq
            saves = data.draw(st.sets(st.integers(after, len(entries)), max_size=4), label="saved at")
            crash = data.draw(st.integers(after, len(entries)), label="crashed at")
            for entry in entries[after:crash]:
                folder.feed(entry.cursor, entry.type, entry.event)
                if entry.cursor.seq in saves:
                    store.save(folder)
        resumed = store.load(turn)
        feed(resumed, entries[resumed.cursor.seq :])
        store.save(resumed)
        once = feed(Folder(turn), entries)
        assert outcome(resumed) == outcome(once)
        assert store.document() == once.response()
        assert store.load(turn).checkpoint() == once.checkpoint()


@common
@given(st.text(max_size=60), st.lists(st.integers(0, 60)), st.sampled_from(["message", "reasoning", "function_call"]))
def test_any_split_of_a_text_gives_the_same_item(text: str, cuts: list[int], type_: str) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut <= len(text)), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(edges)]
    start = Say("item_start", {"item_id": "i", "item_type": type_, "name": "n", "call_id": "c"})

    def item(parts: list[str]) -> Item:
        says = [*begin(), start, *(Say("item_delta", {"item_id": "i", "delta_content": part}) for part in parts)]
        response = feed(Folder(1), log(says)).response()
        assert response is not None
        return response.output_items[0]

    assert item(pieces) == item([text])
    assert getattr(item(pieces), "arguments" if type_ == "function_call" else "content") == text


@common
@given(runs(stray=False))
def test_superseded_attempts_leave_tokens_and_no_other_trace(entries: list[Entry]) -> None:
    for turn in turns(entries):
        mine = [entry for entry in entries if entry.turn == turn]
        last = max(entry.attempt for entry in mine)
        whole = feed(Folder(turn), mine)
        alone = feed(Folder(turn), [entry for entry in mine if entry.attempt == last])
        document, fresh = whole.response(), alone.response()
        assert document is not None
        assert fresh is not None
        assert document.model_copy(update={"created_at": 0}) == fresh.model_copy(update={"created_at": 0})
        each = [feed(Folder(turn), [e for e in mine if e.attempt == n]).tally.total for n in range(1, last + 1)]
        assert whole.tally.total.total_tokens == sum(tokens.total_tokens for tokens in each)
        assert whole.tally.total.prompt_tokens == sum(tokens.prompt_tokens for tokens in each)
        assert whole.ended == alone.ended


@common
@given(runs(stray=False), STRAY.filter(lambda event: event[0].startswith(("item_", "script_"))), st.data())
def test_an_event_that_breaks_the_order_corrupts_nothing_else(
    entries: list[Entry], stray: tuple[str, dict[str, Any]], data: st.DataObject
) -> None:
    """The same run with and without the stray event differs in status and error at most."""
    at = data.draw(st.integers(1, len(entries)), label="before")
    turn, number = data.draw(st.sampled_from([(e.turn, e.attempt) for e in entries if e.turn]), label="by")
    with_stray = [*entries[:at], log([Say(*stray, turn, number)])[0], *entries[at:]]
    numbered = [entry._replace(cursor=entry.cursor._replace(seq=seq)) for seq, entry in enumerate(with_stray, 1)]
    probe = feed(Folder(turn), numbered[:at])
    if probe.attempt != number:
        return  # it would supersede, or be ignored
    before = probe.response()
    probe.feed(*numbered[at][:3])
    after = probe.response()
    broke = after is not None and after.error is not None and after.error.code == "stream_sequence_error"
    if before is None or after is None or not broke or (before.error and before.error.code == after.error.code):
        return
    assert after.status == "error"
    ignore = {"status", "error", "updated_at", "cursor"}
    assert after.model_dump(exclude=ignore) == before.model_dump(exclude=ignore)
    clean, faulty = feed(Folder(turn), entries), feed(Folder(turn), numbered)
    ends = [folder.response().model_dump(exclude=ignore) for folder in (clean, faulty)]
    assert ends[0] == ends[1]
    assert clean.tally == faulty.tally


@common
@given(runs())
def test_hydrating_a_run_is_folding_its_turns(entries: list[Entry]) -> None:
    run = feed(RunFolder(), entries)
    alone = {turn: feed(Folder(turn), entries) for turn in turns(entries)}
    assert run.responses == {turn: folder.response() for turn, folder in alone.items() if folder.response()}
    assert list(run.responses) == sorted(run.responses)
    assert run.tokens.total_tokens == sum(folder.tally.total.total_tokens for folder in alone.values())
    assert (run.status, run.ended, run.cursor) == ("completed", True, entries[-1].cursor)


@common
@given(runs(stray=False), st.data())
def test_a_client_that_heals_from_documents_ends_where_the_others_do(entries: list[Entry], data: st.DataObject) -> None:
    """What the documents alone cannot tell (which items are open) makes no difference while the order is kept."""
    at = data.draw(st.integers(0, len(entries)), label="healed at")
    before = feed(RunFolder(), entries[:at])
    seen = {turn for turn, folder in before.folders.items() if folder.cursor.seq}
    if seen - set(before.responses):
        return  # a turn without a document yet: the client's stream would start before it
    documents = [Response.model_validate_json(doc.model_dump_json()) for doc in before.responses.values()]
    healed = feed(RunFolder(documents, before.status), entries)
    assert healed.responses == feed(RunFolder(), entries).responses


@common
@given(runs())
def test_what_is_not_read_of_bytes_makes_no_difference(entries: list[Entry]) -> None:
    for turn in turns(entries):
        quick, thorough = Folder(turn), Folder(turn)
        for entry in entries:
            news = quick.feed(entry.cursor, entry.type, entry.event)
            assert thorough.feed(entry.cursor, entry.type, entry.event.decode()) == news
            assert outcome(quick) == outcome(thorough)

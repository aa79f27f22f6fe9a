"""The Folder's own matters: attempts, tally, what to save, poison."""

import json
from typing import Any

import pytest

from cody.contract.cursor import Cursor
from cody.contract.events import parse
from cody.fold import Folder, PoisonEvent, RunFolder, Tokens
from tests.unit.fold.fold_scripts import ERROR, Say, begin, feed, log, response_start, usage

START = Say("item_start", {"item_id": "m", "item_type": "message"})
DONE = Say("response_done", {"response_id": "resp_1", "status": "complete", "finish_reason": "stop"})


def delta(text: str) -> Say:
    return Say("item_delta", {"item_id": "m", "delta_content": text})


def by(attempt: int, *says: Say) -> list[Say]:
    return [say._replace(attempt=attempt) for say in says]


def total(folder: Folder) -> int:
    return folder.tally.total.total_tokens


def test_a_newer_attempt_empties_the_response_and_keeps_its_id_and_birth() -> None:
    broken = [*begin(), START, delta("old"), delta("x")._replace(payload={"item_id": "?", "delta_content": ""}), DONE]
    entries = log([*broken, *begin(attempt=2), *by(2, START, delta("new"))])
    folder = feed(Folder(1), entries[: len(broken) + 1])
    emptied = folder.response()
    assert (emptied.status, emptied.attempt, emptied.output_items) == ("in_progress", 2, ())
    assert (emptied.error, emptied.finish_reason, emptied.usage) == (None, None, None)
    response = feed(folder, entries).response()
    assert (response.id, response.created_at, response.model_id) == ("resp_1", 1001, "model-2")
    assert [item.content for item in response.output_items] == ["new"]


def test_an_older_attempt_is_not_heard() -> None:
    entries = log(
        [
            *begin(),
            START,
            *begin(attempt=2),
            *by(2, START),
            delta("zombie"),
            Say("turn_failed", {"error": ERROR, "will_retry": True}),
        ]
    )
    folder = feed(Folder(1), entries)
    assert folder.response().output_items[0].content == ""
    assert folder.response().status == "in_progress"
    assert folder.ended is None
    assert folder.cursor == entries[-1].cursor


def test_a_newer_attempt_supersedes_also_when_its_turn_started_was_lost() -> None:
    folder = feed(Folder(1), log([*begin(), START, delta("old"), response_start(attempt=3)]))
    assert (folder.response().attempt, folder.response().output_items) == (3, ())


def test_the_attempts_end_is_told_until_a_newer_one_begins() -> None:
    says = [*begin(), Say("turn_failed", {"error": ERROR, "will_retry": True}), *begin(attempt=2)]
    entries = log(says)
    folder = feed(Folder(1), entries[:3])
    assert folder.ended is not None
    assert (folder.ended.type, folder.ended.attempt, folder.ended.payload.will_retry) == ("turn_failed", 1, True)
    feed(folder, entries)
    assert folder.ended is None


def test_tally_adds_increments_replaces_totals_and_keeps_superseded_attempts() -> None:
    def update(n: int) -> Say:
        return Say("usage_update", {"response_id": "resp_1", "usage": usage(n, 0)})

    folder = Folder(1)
    entries = log(
        [
            *begin(),
            Say("token_usage", usage(10, 5)),  # 15
            Say("token_usage", usage(1, 0)),  # 16
            update(100),  # the attempt's total so far
            Say("token_usage", usage(0, 7)),  # 107
            *begin(attempt=2),
            *by(2, Say("token_usage", {"prompt_tokens": 2, "completion_tokens": 3})),  # a total left out is the sum
            *by(2, DONE._replace(payload=DONE.payload | {"usage": usage(40, 2)})),
            *by(2, Say("turn_completed", {"usage": usage(40, 2), "should_continue": False})),
        ]
    )
    totals = []
    for entry in entries:
        folder.feed(*entry[:3])
        totals.append(total(folder))
    assert totals == [0, 0, 15, 16, 100, 107, 107, 107, 112, 149, 149]
    assert folder.tally.total == Tokens(prompt_tokens=140, completion_tokens=9, total_tokens=149)


def test_take_dirty_gives_what_changed_and_only_that() -> None:
    other = Say("item_start", {"item_id": "n", "item_type": "message"})
    entries = log([*begin(), START, other, delta("a"), delta("bc"), *begin(attempt=2), *by(2, other)])
    folder = feed(Folder(1), entries[:4])
    assert [(place, item.id) for place, item in folder.take_dirty().items] == [(0, "m"), (1, "n")]
    assert folder.take_dirty() == (False, [], [])
    feed(folder, entries[:5])
    assert folder.take_dirty() == (False, [], [(0, 0, "a")])
    assert folder.response().output_items[0].content == "a"
    feed(folder, entries[:6])
    assert folder.take_dirty() == (False, [], [(0, 1, "bc")])
    feed(folder, entries)
    changes = folder.take_dirty()
    assert changes.emptied
    assert [(place, item.id) for place, item in changes.items] == [(0, "n")]


def test_unchanged_items_and_documents_are_not_built_again() -> None:
    other = Say("item_start", {"item_id": "n", "item_type": "message"})
    entries = log([*begin(), START, delta("a"), other, delta("b")])
    folder = feed(Folder(1), entries[:5])
    first = folder.response()
    assert folder.response() is first
    second = feed(folder, entries).response()
    assert second.output_items[1] is first.output_items[1]
    assert (first.output_items[0].content, second.output_items[0].content) == ("a", "ab")


def test_feed_says_whether_there_is_something_to_save() -> None:
    says = [
        (Say("run_started", {}, 0, 0), False),
        (begin()[0], True),
        (Say("subprocess_output", {"stream": "stdout", "text": "x"}), False),
        (Say("from_the_future", {}), False),
        (begin()[1], True),
        (Say("token_usage", usage(1, 1)), True),
        (Say("turn_completed", {"should_continue": True}), True),
        (Say("run_completed", {"reason": "max_turns"}, 0, 0), False),
    ]
    folder = Folder(1)
    for entry, (_, changed) in zip(log([say for say, _ in says]), says, strict=True):
        assert folder.feed(*entry[:3]) is changed
    assert str(folder.cursor) == "7-1001"


def test_bytes_text_and_models_fold_alike_and_a_bare_seq_will_do() -> None:
    entries = log([*begin(), START, delta("Grüße"), DONE])
    folders = [Folder(1) for _ in range(3)]
    for cursor, type_, event, _, _ in entries:
        folders[0].feed(cursor, type_, event)
        folders[1].feed(cursor, type_, event.decode())
        folders[2].feed(Cursor(cursor.seq), type_, parse(type_, event))
    one, two, three = (folder.response() for folder in folders)
    assert one == two
    assert three == one.model_copy(update={"cursor": "5"})


ENVELOPE = {"event_id": "r:1:1:9", "timestamp": 1, "run_id": "run_1", "turn": 1, "attempt": 2}
POISON: list[tuple[str, Any]] = [
    ("item_delta", "{"),
    ("item_delta", "[]"),
    ("item_delta", "7"),
    ("item_delta", {"payload": None}),
    ("item_delta", {"payload": {"item_id": "m"}}),
    ("item_delta", {"payload": {"item_id": "m", "delta_content": None}}),
    ("item_delta", {"payload": {"item_id": 1, "delta_content": "x"}}),
    ("item_delta", {"payload": {"item_id": "m", "delta_content": "x"}, "timestamp": "now"}),
    ("item_delta", {"payload": {"item_id": "m", "delta_content": "x"}, "turn": True}),
    ("item_start", {"payload": {"item_id": "n", "item_type": "poem"}}),
    ("item_start", {}),
    ("item_done", {"payload": {"item_id": "m", "final_item": {"id": "m", "type": "message", "content": 1}}}),
    ("turn_started", {"payload": {}}),
    ("from_the_future", "\x00"),
]


@pytest.mark.parametrize("make", [lambda: Folder(1), RunFolder], ids=["turn", "run"])
@pytest.mark.parametrize(("type_", "event"), POISON)
def test_a_malformed_event_is_poison_and_changes_nothing(make: Any, type_: str, event: Any) -> None:
    folder = feed(make(), log([*begin(), START, delta("Hel")]))
    turn = folder.folders[1] if isinstance(folder, RunFolder) else folder
    before = (folder.cursor, turn.checkpoint(), turn.response())
    raw = event if isinstance(event, str) else json.dumps(ENVELOPE | event)
    with pytest.raises(PoisonEvent, match="poison event at 9-1002") as caught:
        folder.feed(Cursor(9, 1002), type_, raw)
    assert caught.value.cursor == (9, 1002)
    assert (folder.cursor, turn.checkpoint(), turn.response()) == before
    assert "Hel" not in caught.value.reason


def test_run_status_follows_the_lifecycle() -> None:
    kinds = ["run_queued", "run_started", "run_pausing", "run_paused", "run_resumed", "run_cancelling"]
    end = Say("run_cancelled", {"reason": "manual", "receipt": {"requested_at": 1, "quiet_at": 2}}, 0, 0)
    run, seen = RunFolder(), []
    for entry in log([*(Say(kind, {}, 0, 0) for kind in kinds), end, Say("run_started", {}, 0, 0)]):
        run.feed(*entry[:3])
        seen.append(run.status)
    assert seen == ["queued", "running", "pausing", "paused", "running", "cancelling", "cancelled", "cancelled"]
    assert run.ended
    assert run.responses == {}

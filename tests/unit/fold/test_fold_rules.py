"""Each rule of the fold by example: items, the response's state, broken order."""

from typing import Any

import pytest

from cody.contract import items as i
from cody.contract.responses import Response
from cody.fold import Folder, output_id_of
from tests.unit.fold.fold_scripts import ERROR, Say, begin, error_info, feed, log, usage, usage_of

START = Say("item_start", {"item_id": "m", "item_type": "message"})
DONE = Say("response_done", {"response_id": "resp_1", "status": "complete", "finish_reason": "stop"})
COMPLETED = Say("turn_completed", {"should_continue": True})
FAILED = Say("turn_failed", {"error": ERROR, "will_retry": True})
ABORTED = Say("turn_aborted_by_user", {"turn_id": "turn_1", "reason": "manual"})
RESPONSE_ERROR = Say("response_error", {"response_id": "resp_1", "error": ERROR})


def delta(text: str, item_id: str = "m") -> Say:
    return Say("item_delta", {"item_id": item_id, "delta_content": text})


def done(item_id: str, **final: Any) -> Say:
    return Say("item_done", {"item_id": item_id, "final_item": {"id": item_id, "type": "message"} | final})


def fold(*says: Say) -> Response:
    response = feed(Folder(1), log([*begin(), *says])).response()
    assert response is not None
    return response


def test_a_response_begins_with_response_start() -> None:
    folder = Folder(1)
    feed(folder, log(begin())[:1])
    assert folder.response() is None
    assert folder.header() is None
    assert (folder.attempt, str(folder.cursor)) == (1, "1-1001")
    response = fold()
    assert response.model_dump() == {
        "id": "resp_1",
        "run_id": "run_1",
        "turn": 1,
        "attempt": 1,
        "turn_id": "turn_1",
        "thread_id": "thread_1",
        "model_id": "model-1",
        "provider_id": "openai",
        "created_at": 1001,
        "updated_at": 1_764_000_000_002,
        "status": "in_progress",
        "output_items": (),
        "finish_reason": None,
        "cursor": "2-1001",
    }


@pytest.mark.parametrize(
    ("start", "item"),
    [
        (
            {"item_type": "message", "initial_content": "a", "origin": "user"},
            i.MessageItem(id="x", origin="user", content="a"),
        ),
        ({"item_type": "reasoning"}, i.ReasoningItem(id="x")),
        (
            {"item_type": "function_call", "name": "sh", "call_id": "c", "arguments": "{"},
            i.FunctionCallItem(id="x", name="sh", call_id="c", arguments="{"),
        ),
        ({"item_type": "function_call"}, i.FunctionCallItem(id="x", name="", call_id="x")),
        (
            {"item_type": "function_call_output", "call_id": "c", "initial_content": "o"},
            i.FunctionCallOutputItem(id="x", call_id="c", output="o", success=False),
        ),
        ({"item_type": "script_execution", "initial_content": "ls"}, i.ScriptExecutionItem(id="x", code="ls")),
        (
            {"item_type": "script_execution_output", "call_id": "s"},
            i.ScriptExecutionOutputItem(id="x", script_id="s", result="", success=False),
        ),
        ({"item_type": "error", "initial_content": "m"}, i.ErrorItem(id="x", code="internal_error", message="m")),
        ({"item_type": "cancelled"}, i.CancelledItem(id="x")),
    ],
    ids=lambda value: value["item_type"] if isinstance(value, dict) else "",
)
def test_item_start_begins_every_type_of_item(start: dict[str, Any], item: i.Item) -> None:
    assert fold(Say("item_start", {"item_id": "x"} | start)).output_items == (item,)


def test_items_keep_the_order_of_their_starts_and_item_done_replaces_the_whole() -> None:
    call = Say("item_start", {"item_id": "c", "item_type": "function_call", "name": "sh", "call_id": "1"})
    response = fold(START, delta("Hel"), call, delta("{", "c"), delta("lo"), delta("}", "c"), done("m", content="Bye"))
    assert response.output_items == (
        i.MessageItem(id="m", content="Bye"),
        i.FunctionCallItem(id="c", name="sh", call_id="1", arguments="{}"),
    )


def test_an_item_that_failed_or_was_cancelled_keeps_its_place_and_origin() -> None:
    start = Say("item_start", {"item_id": "r", "item_type": "reasoning", "origin": "system"})
    error = Say("item_error", {"item_id": "m", "error": ERROR | {"details": {"exit_code": 3}}})
    response = fold(START, start, delta("Hel"), error, Say("item_cancelled", {"item_id": "r", "reason": "manual"}))
    assert response.output_items == (
        i.ErrorItem(id="m", code="agent_exit", message="exit code 3", details={"exit_code": 3}),
        i.CancelledItem(id="r", origin="system", reason="manual"),
    )
    assert response.status == "in_progress"


def test_a_script_has_an_output_of_its_own() -> None:
    scripts = [Say("script_execution_start", {"item_id": name, "code": "ls"}) for name in ("s", "t")]
    response = fold(
        *scripts,
        Say("script_execution_error", {"item_id": "t", "error": ERROR}),
        Say("script_execution_done", {"item_id": "s", "result": "a.py", "success": True}),
    )
    assert response.output_items[2:] == (
        i.ScriptExecutionOutputItem(id="t_output", script_id="t", result="", success=False, error="exit code 3"),
        i.ScriptExecutionOutputItem(id="s_output", script_id="s", result="a.py", success=True),
    )
    assert len(output_id_of("x" * 128)) == 128


@pytest.mark.parametrize(
    ("says", "status", "error", "finish_reason"),
    [
        ([DONE], "complete", None, "stop"),
        ([DONE, COMPLETED], "complete", None, "stop"),
        ([COMPLETED], "complete", None, None),
        ([FAILED], "error", error_info(), None),
        ([ABORTED], "aborted", None, None),
        ([DONE, FAILED], "complete", None, "stop"),
        ([DONE, ABORTED], "complete", None, "stop"),
        ([RESPONSE_ERROR], "error", error_info(), None),
        ([RESPONSE_ERROR, DONE], "error", error_info(), "stop"),
        ([RESPONSE_ERROR, ABORTED], "error", error_info(), None),
        ([DONE._replace(payload=DONE.payload | {"status": "error"}), FAILED], "error", error_info(), "stop"),
        ([DONE._replace(payload=DONE.payload | {"status": "aborted"}), ABORTED], "aborted", None, "stop"),
    ],
)
def test_how_a_response_ends(says: list[Say], status: str, error: Any, finish_reason: str | None) -> None:
    response = fold(*says)
    assert (response.status, response.error, response.finish_reason) == (status, error, finish_reason)


def test_usage_is_the_newest_that_was_told() -> None:
    update = Say("usage_update", {"response_id": "resp_1", "usage": usage(9, 1)})
    assert fold(update).usage == usage_of(9, 1)
    assert fold(update, DONE).usage == usage_of(9, 1)
    assert fold(update, DONE._replace(payload=DONE.payload | {"usage": usage(9, 3)})).usage == usage_of(9, 3)
    late = fold(DONE, update)
    assert (late.usage, late.status) == (usage_of(9, 1), "complete")


BREAKS = {
    "delta without a start": [delta("x")],
    "done without a start": [done("m")],
    "error without a start": [Say("item_error", {"item_id": "m", "error": ERROR})],
    "cancelled without a start": [Say("item_cancelled", {"item_id": "m"})],
    "script done without a start": [Say("script_execution_done", {"item_id": "s", "result": "", "success": True})],
    "script done of a message": [START, Say("script_execution_done", {"item_id": "m", "result": "", "success": True})],
    "a second start": [START, START],
    "a script by a known id": [START, Say("script_execution_start", {"item_id": "m", "code": ""})],
    "delta after done": [START, done("m"), delta("x")],
    "done after cancelled": [START, Say("item_cancelled", {"item_id": "m"}), done("m")],
    "a delta that nothing can take": [Say("script_execution_start", {"item_id": "m", "code": ""}), delta("x")],
    "done with another item's id": [
        START,
        Say("item_done", {"item_id": "m", "final_item": {"id": "n", "type": "message"}}),
    ],
    "a start after the response": [DONE, START],
    "a delta after the response": [START, DONE, delta("x")],
    "a delta after the attempt": [START, COMPLETED, delta("x")],
    "a response_start within": [START, begin()[1]],
    "two ends of the response": [DONE, DONE],
    "another response's end": [DONE._replace(payload=DONE.payload | {"response_id": "resp_2"})],
    "another response's usage": [Say("usage_update", {"response_id": "resp_2", "usage": usage(1, 1)})],
}


@pytest.mark.parametrize("says", BREAKS.values(), ids=BREAKS.keys())
def test_a_broken_order_is_an_error_and_changes_nothing_else(says: list[Say]) -> None:
    broken, before = fold(*says), fold(*says[:-1])
    assert broken.status == "error"
    assert broken.error is not None
    assert broken.error.code == "stream_sequence_error"
    assert says[-1].type in broken.error.message
    assert broken.error.details == {"cursor": broken.cursor, "type": says[-1].type}
    kept = {"status", "error", "updated_at", "cursor"}
    assert broken.model_dump(exclude=kept) == before.model_dump(exclude=kept)


def test_the_first_break_of_the_order_stands_and_the_rest_is_folded_as_usual() -> None:
    response = fold(delta("x"), START, delta("Hel"), done("n"), RESPONSE_ERROR, delta("lo"), DONE, ABORTED)
    assert response.output_items == (i.MessageItem(id="m", content="Hello"),)
    assert (response.status, response.finish_reason) == ("error", "stop")
    assert response.error is not None
    assert response.error.message.startswith("item_delta")


def test_items_before_the_response_break_the_order_of_the_response_to_come() -> None:
    said = begin()
    folder = feed(Folder(1), log([said[0], START, said[1], START]))
    response = folder.response()
    assert response.status == "error"
    assert response.error.code == "stream_sequence_error"
    assert [item.id for item in response.output_items] == ["m"]

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cody.agents.model.conversation import history
from cody.agents.model.protocol import Kept, UserText
from cody.contract.items import (
    CancelledItem,
    ErrorItem,
    FunctionCallItem,
    FunctionCallOutputItem,
    Item,
    MessageItem,
    ReasoningItem,
)
from cody.contract.responses import Response
from cody.contract.threads import Exchange


def exchange(prompt: str, *items: Item) -> Exchange:
    names = ("id", "run_id", "turn_id", "thread_id", "model_id", "provider_id")
    fields: dict[str, Any] = dict.fromkeys(names, "x")
    fields |= {"turn": 1, "attempt": 1, "created_at": 0, "updated_at": 0, "status": "complete"}
    return Exchange(prompt=prompt, response=Response(**fields, output_items=items))


def call(call_id: str) -> FunctionCallItem:
    return FunctionCallItem(id=f"fc_{call_id}", name="shell", arguments="{}", call_id=call_id)


def output(call_id: str, text: str = "done") -> FunctionCallOutputItem:
    return FunctionCallOutputItem(id=f"{call_id}_output", call_id=call_id, output=text, success=True)


def message(text: str, **more: Any) -> MessageItem:
    return MessageItem(id=f"msg_{text}", content=text, **more)


def told(*items: Item) -> list[Item]:
    entries = history([exchange("", *items)])
    assert all(isinstance(entry, Kept) for entry in entries)
    return [entry.item for entry in entries if isinstance(entry, Kept)]


def test_turns_are_told_in_order() -> None:
    entries = history([exchange("one", message("1")), exchange("two", message("2"))])
    assert entries == [UserText("one"), Kept(message("1")), UserText("two"), Kept(message("2"))]


def test_a_turn_that_failed_leaves_what_it_was_asked() -> None:
    assert history([exchange("one"), exchange("two")]) == [UserText("one"), UserText("two")]


def test_thoughts_errors_and_what_was_cancelled_are_left_out() -> None:
    error = ErrorItem(id="e", code="x", message="x")
    assert told(ReasoningItem(id="r", content="hm"), error, CancelledItem(id="c"), message("1")) == [message("1")]


def test_a_call_without_an_output_is_answered_interrupted() -> None:
    _, answer, last = told(call("a"), message("1"))
    assert isinstance(answer, FunctionCallOutputItem)
    assert (answer.call_id, answer.output, answer.success) == ("a", "interrupted", False)
    assert last == message("1")


def test_an_output_without_a_call_is_left_out() -> None:
    assert told(output("a"), message("1")) == [message("1")]


def test_an_output_that_came_late_stands_behind_its_call() -> None:
    assert told(call("a"), message("1"), output("a")) == [call("a"), output("a"), message("1")]
    assert told(call("a"), call("b"), output("b"), output("a")) == [call("a"), call("b"), output("a"), output("b")]


def test_an_id_that_is_used_again_gets_its_own_output() -> None:
    first, second = output("a", "one"), output("a", "two")
    assert told(call("a"), first, message("1"), call("a"), second) == [
        call("a"), first, message("1"), call("a"), second,
    ]  # fmt: skip


def test_what_a_user_said_within_a_turn_stays_a_users_word() -> None:
    assert history([exchange("", message("stop it", origin="user"))]) == [UserText("stop it")]


@given(
    st.lists(
        st.one_of(
            st.sampled_from("ab").map(call), st.sampled_from("ab").map(output), st.sampled_from("xy").map(message)
        )
    )
)
def test_every_call_has_one_output_right_behind_the_calls_it_was_made_with(items: list[Item]) -> None:
    waiting: list[str] = []
    answering = False
    for item in told(*items):
        if isinstance(item, FunctionCallItem):
            assert not (answering and waiting)
            waiting.append(item.call_id)
            answering = False
        elif isinstance(item, FunctionCallOutputItem):
            assert item.call_id == waiting.pop(0)
            answering = True
        else:
            assert not waiting
    assert not waiting

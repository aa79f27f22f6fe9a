"""A conversation in the form that the Messages API accepts, whoever said its parts."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody.agents.model.anthropic import max_tokens_of
from cody.agents.model.anthropic_messages import messages_of, tools_of
from cody.agents.model.protocol import Entry, Kept, Question, ToolSpec, UserText
from cody.contract.items import (
    CancelledItem,
    ErrorItem,
    FunctionCallItem,
    FunctionCallOutputItem,
    MessageItem,
    ReasoningItem,
)

TOOL = ToolSpec("list_dir", "Lists.", {"type": "object", "properties": {}})
CACHED = {"cache_control": {"type": "ephemeral"}}


def said(content: str, **more: Any) -> Kept:
    return Kept(MessageItem(id="m", content=content, **more))


def called(call_id: str, arguments: str = "{}", name: str = "list_dir") -> Kept:
    return Kept(FunctionCallItem(id=call_id, name=name, arguments=arguments, call_id=call_id))


def gave(call_id: str, output: str = "a\nb", success: bool = True) -> Kept:
    return Kept(FunctionCallOutputItem(id=f"{call_id}_output", call_id=call_id, output=output, success=success))


def question(*entries: Entry, tools: Sequence[ToolSpec] = ()) -> Question:
    return Question("claude-haiku-4.5", None, entries, tools)


def messages(*entries: Entry) -> list[Any]:
    """The messages, blocks only, without the mark for the cache."""
    made: list[Any] = messages_of(question(*entries))
    for message in made:
        if isinstance(message["content"], str):
            message["content"] = [{"type": "text", "text": message["content"]}]
        for block in message["content"]:
            block.pop("cache_control", None)
    return made


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": b} if isinstance(b, str) else b for b in blocks]}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {**user(*blocks), "role": "assistant"}


def use(id_: str, **given_: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": "list_dir", "input": given_}


def result(id_: str, content: str = "a\nb", **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id_, "content": content, **more}


def test_a_question_alone_is_one_message_of_plain_text() -> None:
    assert messages_of(question(UserText("Hi"))) == [{"role": "user", "content": "Hi"}]


def test_turns_alternate_and_the_prefix_is_cached() -> None:
    assert messages_of(question(UserText("1+1?"), said("2"), UserText("And 2+2?"))) == [
        {"role": "user", "content": "1+1?"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": [{"type": "text", "text": "And 2+2?", **CACHED}]},
    ]


def test_with_tools_the_first_question_is_cached_already() -> None:
    made = messages_of(question(UserText("Hi"), tools=[TOOL]))
    assert made == [{"role": "user", "content": [{"type": "text", "text": "Hi", **CACHED}]}]


def test_neighbours_of_one_role_share_a_message() -> None:
    made = messages(UserText("Hi"), UserText("There?"), said("Yes."), said("What is it?"), UserText("Bye"))
    assert made == [user("Hi", "There?"), assistant("Yes.", "What is it?"), user("Bye")]


def test_calls_of_one_answer_are_answered_in_one_message_before_what_the_user_says() -> None:
    made = messages(
        UserText("Look"),
        said("I look."),
        called("a", '{"path": "x"}'),
        called("b"),
        gave("a"),
        gave("b", "gone", False),
        UserText("Well?"),
    )
    assert made == [
        user("Look"),
        assistant("I look.", use("a", path="x"), use("b")),
        user(result("a"), result("b", "gone", is_error=True), "Well?"),
    ]


def test_an_output_that_came_late_stands_behind_its_call() -> None:
    made = messages(UserText("Go"), called("a"), called("b"), gave("b", "2"), said("Done."), gave("a", "1"))
    assert made == [
        user("Go"),
        assistant(use("a"), use("b")),
        user(result("a", "1"), result("b", "2")),
        assistant("Done."),
    ]


def test_a_call_without_an_output_is_answered_all_the_same() -> None:
    made = messages(UserText("Go"), called("a"), UserText("Well?"))
    assert made[2] == user(result("a", "interrupted", is_error=True), "Well?")


def test_an_error_always_says_something() -> None:
    made = messages(UserText("Go"), called("a"), called("b"), gave("a", ""), gave("b", " \n", False))
    assert made[2] == user(result("a", ""), result("b", "(nothing)", is_error=True))


def test_an_output_without_a_call_is_left_out() -> None:
    assert messages(UserText("Go"), gave("x"), UserText("Well?")) == [user("Go", "Well?")]


def test_ids_that_are_used_in_every_turn_anew_are_told_apart() -> None:
    made = messages(
        UserText("Go"), called("item_0"), gave("item_0", "1"), UserText("Go"), called("item_0"), gave("item_0", "2")
    )
    assert [block["id"] for block in made[1]["content"] + made[3]["content"]] == ["item_0", "item_0_2"]
    assert made[4] == user(result("item_0_2", "2"))


def test_ids_and_names_keep_to_the_characters_of_the_api() -> None:
    made = messages(UserText("Go"), called("call:1/é", name="mcp: do it"), gave("call:1/é"))
    (block,) = made[1]["content"]
    assert (block["id"], block["name"]) == ("call_1__", "mcp__do_it")


@pytest.mark.parametrize(
    ("arguments", "given_"),
    [
        ('{"path": "x"}', {"path": "x"}),
        ("", {}),
        ("[1]", {"arguments": "[1]"}),
        ('{"path": ', {"arguments": '{"path": '}),
    ],
)
def test_arguments_are_an_object_whatever_the_model_wrote(arguments: str, given_: dict[str, Any]) -> None:
    made = messages(UserText("Go"), called("a", arguments), gave("a"))
    assert made[1] == assistant(use("a", **given_))


def test_reasoning_goes_back_only_in_the_form_that_anthropic_gave_it() -> None:
    block = {"type": "thinking", "thinking": "Hm.", "signature": "Eq"}
    ours = Kept(ReasoningItem(id="r", content="Hm."), {"provider": "anthropic", "block": block})
    theirs = Kept(ReasoningItem(id="r", content="Hm."), {"provider": "openai", "item": {}})
    bare = Kept(ReasoningItem(id="r", content="Hm."))
    made = messages(UserText("Go"), bare, theirs, ours, called("a"), gave("a"))
    assert made[1] == assistant(block, use("a"))


def test_blank_text_is_never_sent() -> None:
    assert messages(UserText("Go"), said(" \n"), said(""), UserText("Well?")) == [user("Go", "Well?")]
    assert messages(UserText("  ")) == [user("(nothing)")]
    assert messages() == [user("(nothing)")]


def test_the_first_message_is_the_users() -> None:
    assert messages(said("Hello!"), UserText("Hi")) == [user("(nothing)"), assistant("Hello!"), user("Hi")]


def test_what_went_wrong_and_what_was_cancelled_is_left_out() -> None:
    wrong = [Kept(ErrorItem(id="e", code="c", message="m")), Kept(CancelledItem(id="c"))]
    assert messages(UserText("Go"), *wrong, UserText("Well?")) == [user("Go", "Well?")]


def test_what_others_said_in_an_answer_is_no_word_of_the_models() -> None:
    assert messages(UserText("Go"), said("careful", origin="system")) == [user("Go", "careful")]


def test_tools_are_told_with_their_schemas() -> None:
    assert tools_of(question(UserText("Hi"), tools=[TOOL])) == [
        {"name": "list_dir", "description": "Lists.", "input_schema": {"type": "object", "properties": {}}}
    ]


def test_a_history_with_calls_names_its_tools_where_none_are_on_offer() -> None:
    made: list[Any] = tools_of(question(UserText("Hi"), called("a"), gave("a"), called("b"), gave("b")))
    assert [tool["name"] for tool in made] == ["list_dir"]
    assert tools_of(question(UserText("Hi"))) == []


@pytest.mark.parametrize(
    ("model", "budget", "bound"),
    [
        ("claude-haiku-4.5", None, 32_000),
        ("claude-sonnet-4-5-20250929", None, 32_000),
        ("anthropic/claude-opus-5", None, 32_000),
        ("claude-3-haiku-20240307", None, 4_096),
        ("claude-3-5-sonnet-latest", None, 8_192),
        ("somebodys-model", None, 8_192),
        ("claude-haiku-4.5", 1_024, 32_000),
        ("claude-sonnet-4.5", 30_000, 38_192),
        ("somebodys-model", 8_192, 16_384),
    ],
)
def test_the_bound_of_an_answer_leaves_room_beside_the_thinking(model: str, budget: int | None, bound: int) -> None:
    assert max_tokens_of(model, budget) == bound


entries = st.lists(
    st.one_of(
        st.builds(UserText, st.text(max_size=3)),
        st.builds(said, st.text(max_size=3)),
        st.builds(called, st.sampled_from("abc")),
        st.builds(gave, st.sampled_from("abc")),
    ),
    max_size=12,
)


@given(entries)
def test_any_conversation_keeps_the_rules_of_the_api(conversation: list[Entry]) -> None:
    made = messages(*conversation)
    roles = [message["role"] for message in made]
    assert roles == ["user" if position % 2 == 0 else "assistant" for position in range(len(roles))]
    used: list[str] = []
    for message, following in zip(made, [*made[1:], None], strict=True):
        kinds = [block["type"] for block in message["content"]]
        assert kinds
        assert all(block["text"].strip() for block in message["content"] if block["type"] == "text")
        uses = [block["id"] for block in message["content"] if block["type"] == "tool_use"]
        if uses:
            assert following is not None
            assert [block.get("tool_use_id") for block in following["content"]][: len(uses)] == uses
        if message["role"] == "user":
            assert kinds == sorted(kinds, key=lambda kind: kind != "tool_result")
        used += uses
    assert len(used) == len(set(used))

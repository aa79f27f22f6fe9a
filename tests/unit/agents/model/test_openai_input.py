from typing import Any

import pytest

from cody.agents.model.openai_input import parameters, reasons
from cody.agents.model.protocol import Entry, Kept, Question, ToolSpec, UserText
from cody.contract.items import FunctionCallItem, FunctionCallOutputItem, MessageItem, ReasoningItem


def asked(*entries: Entry, reasoning: bool = False, **more: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {"model": "m", "instructions": None, "tools": ()}
    return parameters(Question(entries=entries, **(fields | more)), reasoning=reasoning)


def test_a_request_has_what_is_needed_and_no_more() -> None:
    user = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi."}]}
    assert asked(UserText("Hi.")) == {"model": "m", "input": [user], "store": False}


def test_instructions_tools_and_reasoning_are_said_where_there_are_any() -> None:
    tool = ToolSpec("shell", "Runs a command.", {"type": "object"})
    said = asked(instructions="Be brief.", tools=(tool,), reasoning=True)
    assert said["instructions"] == "Be brief."
    assert said["tools"] == [
        {
            "type": "function",
            "name": "shell",
            "description": "Runs a command.",
            "parameters": {"type": "object"},
            "strict": False,
        }
    ]
    assert said["reasoning"] == {"summary": "auto"}
    assert said["include"] == ["reasoning.encrypted_content"]


def test_the_conversation_is_said_as_it_was() -> None:
    wire = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    said = asked(
        Kept(ReasoningItem(id="rs_1", content="Hm."), {"provider": "openai", "item": wire}),
        Kept(MessageItem(id="msg_1", content="I look.")),
        Kept(FunctionCallItem(id="fc_1", name="shell", arguments='{"command": "ls" ', call_id="call_1")),
        Kept(FunctionCallOutputItem(id="call_1_output", call_id="call_1", output="a\n", success=True)),
    )["input"]
    assert said == [
        wire,
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        {"type": "function_call", "call_id": "call_1", "name": "shell", "arguments": '{"command": "ls" '},
        {"type": "function_call_output", "call_id": "call_1", "output": "a\n"},
    ]


def test_reasoning_of_others_and_empty_messages_are_left_out() -> None:
    said = asked(
        Kept(ReasoningItem(id="rs_1", content="Hm.")),
        Kept(ReasoningItem(id="rs_2"), {"provider": "anthropic", "block": {"type": "thinking"}}),
        Kept(MessageItem(id="msg_1")),
    )
    assert said["input"] == []


def call(call_id: str, name: str = "shell") -> Kept:
    return Kept(FunctionCallItem(id="fc", name=name, arguments="{}", call_id=call_id))


def output(call_id: str, text: str) -> Kept:
    return Kept(FunctionCallOutputItem(id="out", call_id=call_id, output=text, success=True))


def test_calls_that_share_an_id_are_told_apart() -> None:
    said = asked(call("a"), call("a"), output("a", "1"), output("a", "2"), call("a"), output("a", "3"))["input"]
    ids = [(item["call_id"], item.get("output")) for item in said]
    assert ids == [("a", None), ("a_2", None), ("a", "1"), ("a_2", "2"), ("a_3", None), ("a_3", "3")]


def test_ids_and_names_of_other_agents_fit() -> None:
    long = "x" * 100
    first, second, one, two = asked(
        call(long, "mcp server/tool"), call(long, long), output(long, "1"), output(long, "2")
    )["input"]
    assert {len(each["call_id"]) for each in (first, second, one, two)} == {64}
    assert (first["call_id"], second["call_id"]) == (one["call_id"], two["call_id"])
    assert first["call_id"] != second["call_id"]
    assert (first["name"], second["name"]) == ("mcp_server_tool", "x" * 64)


def test_an_output_without_its_call_is_left_out() -> None:
    assert asked(output("a", "1"))["input"] == []


@pytest.mark.parametrize(
    "model", ["gpt-5-mini", "gpt-5-codex", "gpt-5.1", "o3", "o4-mini", "codex-mini-latest", "openai/gpt-5", "GPT-5"]
)
def test_a_model_that_reasons_is_known_by_its_name(model: str) -> None:
    assert reasons(model)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1-mini", "gpt-5-chat-latest", "gpt-oss-20b", "llama-3", "foo3"])
def test_others_are_not_asked_to(model: str) -> None:
    assert not reasons(model)

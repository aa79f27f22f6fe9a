"""Events of the Messages API, read into items: what is told, and what a stream that breaks the rules comes to."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody.agents.model.anthropic_stream import Reading
from cody.agents.model.items import Items, OutOfOrder
from cody.agents.model.protocol import ProviderFailed
from cody.contract.items import FunctionCallItem, MessageItem, ReasoningItem
from cody.contract.payloads import ItemDelta, Payload
from cody.contract.usage import Usage

START = {
    "type": "message_start",
    "message": {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "claude-haiku-4.5",
                "stop_reason": None, "usage": {"input_tokens": 10, "output_tokens": 1}},
}  # fmt: skip
STOP = {"type": "message_stop"}


class Heard:
    def __init__(self) -> None:
        self.events: list[tuple[str, Payload]] = []

    def emit(self, type_: str, payload: Payload) -> None:
        self.events.append((type_, payload))


class Ear:
    """Reads events; `said` is the log, `items` what was finished."""

    def __init__(self) -> None:
        self.heard = Heard()
        self.items = Items(self.heard)
        self.reading = Reading(self.items)

    def hear(self, *events: dict[str, Any]) -> "Ear":
        for event in events:
            self.reading.hear(json.dumps(event))
        return self

    @property
    def deltas(self) -> list[str]:
        return [payload.delta_content for _, payload in self.heard.events if isinstance(payload, ItemDelta)]


def block(index: int, head: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": head},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text(index: int, *parts: str) -> list[dict[str, Any]]:
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": part} for part in parts))


def ending(reason: str | None = "end_turn", **usage: Any) -> dict[str, Any]:
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": None},
        "usage": {"output_tokens": 7, **usage},
    }


def test_text_becomes_a_message_with_the_id_of_message_and_block() -> None:
    ear = Ear().hear(START, *text(0, "Hel", "lo"), ending(), STOP)
    assert ear.items.done_items == [(MessageItem(id="msg_1_0", content="Hello"), None)]
    assert [type_ for type_, _ in ear.heard.events] == ["item_start", "item_delta", "item_delta", "item_done"]
    assert ear.deltas == ["Hel", "lo"]
    assert ear.reading.answer is not None
    assert ear.reading.answer.finish_reason == "stop"


def test_there_is_no_answer_before_message_stop() -> None:
    assert Ear().hear(START, *text(0, "Hello"), ending()).reading.answer is None


def test_thinking_goes_back_with_its_signature() -> None:
    head = {"type": "thinking", "thinking": "", "signature": ""}
    deltas = [
        {"type": "thinking_delta", "thinking": "Let me "},
        {"type": "thinking_delta", "thinking": "see."},
        {"type": "signature_delta", "signature": "EqQB"},
    ]
    ear = Ear().hear(START, *block(0, head, *deltas), *text(1, "Yes."), ending(), STOP)
    (thought, replay), _ = ear.items.done_items
    assert thought == ReasoningItem(id="msg_1_0", content="Let me see.")
    assert replay == {
        "provider": "anthropic",
        "block": {"type": "thinking", "thinking": "Let me see.", "signature": "EqQB"},
    }
    assert ear.deltas == ["Let me ", "see.", "Yes."]


def test_thinking_without_a_signature_is_not_to_go_back() -> None:
    head = {"type": "thinking", "thinking": "Hm."}
    ear = Ear().hear(START, *block(0, head), ending(), STOP)
    assert ear.items.done_items == [(ReasoningItem(id="msg_1_0", content="Hm."), None)]


def test_redacted_thinking_is_reasoning_without_text_that_goes_back() -> None:
    ear = Ear().hear(START, *block(0, {"type": "redacted_thinking", "data": "Zm9v"}), ending(), STOP)
    replay = {"provider": "anthropic", "block": {"type": "redacted_thinking", "data": "Zm9v"}}
    assert ear.items.done_items == [(ReasoningItem(id="msg_1_0"), replay)]


def test_parallel_calls_stream_their_arguments_as_written() -> None:
    calls = [
        {"type": "tool_use", "id": "toolu_a", "name": "read_file", "input": {}},
        {"type": "tool_use", "id": "toolu_b", "name": "list_dir", "input": {}},
    ]
    ear = Ear().hear(
        START,
        *block(
            0, calls[0], *({"type": "input_json_delta", "partial_json": part} for part in ("", '{"path": ', '"a"}'))
        ),
        *block(1, calls[1]),
        ending("tool_use"),
        STOP,
    )
    assert [item for item, _ in ear.items.done_items] == [
        FunctionCallItem(id="toolu_a", name="read_file", arguments='{"path": "a"}', call_id="toolu_a"),
        FunctionCallItem(id="toolu_b", name="list_dir", arguments="{}", call_id="toolu_b"),
    ]
    assert ear.reading.answer is not None
    assert ear.reading.answer.finish_reason == "tool_calls"


def test_arguments_that_come_whole_with_the_block_are_taken_from_there() -> None:
    head = {"type": "tool_use", "id": "toolu_a", "name": "read_file", "input": {"path": "a"}}
    ear = Ear().hear(START, *block(0, head), ending("tool_use"), STOP)
    (call, _), *_ = ear.items.done_items
    assert call.model_dump()["arguments"] == '{"path": "a"}'


def test_what_is_not_known_is_passed_over() -> None:
    server_tool = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    ear = Ear().hear(
        {"type": "ping"},
        START,
        {"type": "weather", "wind": 3},
        *block(0, server_tool, {"type": "input_json_delta", "partial_json": "{}"}),
        *block(
            1,
            {"type": "text", "text": "", "citations": []},
            {"type": "citations_delta", "citation": {}},
            {"type": "text_delta", "text": "Hi"},
        ),
        ending(),
        STOP,
    )
    assert ear.items.done_items == [(MessageItem(id="msg_1_1", content="Hi"), None)]


def test_an_answer_without_content_is_whole() -> None:
    ear = Ear().hear(START, ending(), STOP)
    assert ear.items.done_items == []
    assert ear.reading.answer is not None


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "refusal"),
        ("pause_turn", "pause_turn"),
        (None, "stop"),
    ],
)
def test_a_stop_reason_has_its_word_in_the_contract(reason: str | None, finish: str) -> None:
    answer = Ear().hear(START, ending(reason), STOP).reading.answer
    assert answer is not None
    assert answer.finish_reason == finish


def test_tokens_are_counted_with_those_of_the_cache() -> None:
    start = json.loads(json.dumps(START))
    start["message"]["usage"] = {
        "input_tokens": 12, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 3000, "output_tokens": 2,
    }  # fmt: skip
    answer = Ear().hear(start, ending(output_tokens=40, output_tokens_details={"thinking_tokens": 30}), STOP).reading
    assert answer.answer is not None
    assert answer.answer.usage == Usage(
        prompt_tokens=3212, completion_tokens=40, total_tokens=3252, cached_tokens=3000, reasoning_tokens=30
    )


def test_the_last_counts_are_the_answers() -> None:
    answer = Ear().hear(START, ending(None, output_tokens=3), ending(input_tokens=11, output_tokens=9), STOP).reading
    assert answer.answer is not None
    assert answer.answer.usage == Usage(prompt_tokens=11, completion_tokens=9, total_tokens=20)


def test_an_answer_without_counts_has_no_usage() -> None:
    start = {"type": "message_start", "message": {"id": "msg_1"}}
    answer = Ear().hear(start, {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, STOP).reading.answer
    assert answer is not None
    assert answer.usage is None


DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}


@pytest.mark.parametrize(
    "events",
    [
        [DELTA],
        [START, DELTA],
        [START, START],
        [START, *text(0, "x"), DELTA],
        [START, *text(0, "x"), *text(0, "y")],
        [START, {"type": "content_block_stop", "index": 4}],
        [START, text(0, "x")[0], STOP],
        [STOP],
        [ending()],
    ],
)
def test_events_out_of_order_are_told_apart_from_other_faults(events: list[dict[str, Any]]) -> None:
    with pytest.raises(OutOfOrder) as raised:
        Ear().hear(*events)
    assert raised.value.error.code == "stream_sequence_error"
    assert raised.value.error.retryable


@pytest.mark.parametrize(
    "data",
    [
        "{",
        "[]",
        "null",
        "not JSON",
        '{"no": "type"}',
        '{"type": 3}',
        '{"type": "content_block_start", "index": 0}',
        '{"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "name": "x"}}',
        '{"type": "content_block_delta", "index": "a", "delta": {"type": "text_delta", "text": "x"}}',
        '{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta"}}',
        '{"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "x"}}',
        '{"type": "message_delta", "delta": {}, "usage": {"output_tokens": -1}}',
        '{"type": "message_delta"}',
        '{"type": "error"}',
        '{"type": "error", "error": {}}',
    ],
)
def test_malformed_data_fails_the_answer(data: str) -> None:
    ear = Ear().hear(START, text(0, "x")[0])
    with pytest.raises(ProviderFailed) as raised:
        ear.reading.hear(data)
    assert raised.value.error.code == "provider_malformed"
    assert raised.value.error.retryable


@pytest.mark.parametrize(
    ("code", "retryable"),
    [
        ("overloaded_error", True),
        ("api_error", True),
        ("rate_limit_error", True),
        ("timeout_error", True),
        ("invalid_request_error", False),
        ("authentication_error", False),
    ],
)
def test_an_error_in_the_middle_keeps_its_code(code: str, retryable: bool) -> None:
    ear = Ear().hear(START, text(0, "x")[0])
    with pytest.raises(ProviderFailed) as raised:
        ear.hear({"type": "error", "error": {"type": code, "message": "Sorry"}, "request_id": "req_1"})
    assert (raised.value.error.code, raised.value.error.retryable) == (code, retryable)
    assert raised.value.error.message == "Sorry"


@given(st.lists(st.lists(st.text(max_size=5), max_size=5), max_size=4))
def test_whatever_way_text_is_split_the_items_are_the_same(blocks: list[list[str]]) -> None:
    events = [event for index, parts in enumerate(blocks) for event in text(index, *parts)]
    ear = Ear().hear(START, *events, ending(), STOP)
    assert [item.model_dump()["content"] for item, _ in ear.items.done_items] == ["".join(parts) for parts in blocks]

"""The messages of Claude Code as events, from recordings of the real one.

`recordings/` holds what Claude Code 2.1.197 (`cut_197`, `http429`, `maxturns`, `shell`, `text`, `think`, `write`) and
2.1.329 (the others) said, without the fields that nobody here reads.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from cody.agents.drivers.claude_code.failures import failure
from cody.agents.drivers.claude_code.messages import Messages
from cody.contract.payloads import Payload

RECORDINGS = Path(__file__).parent / "recordings"


class Heard:
    """A voice that keeps everything."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Payload]] = []
        self.model: str | None = None
        self.kept = ""
        self.carry: dict[str, Any] = {}

    def begin(self, model: str | None) -> None:
        self.model = model

    def emit(self, type_: str, payload: Payload) -> None:
        self.events.append((type_, payload))

    def keep(self, text: str) -> None:
        self.kept += text

    def remember(self, **carry: Any) -> None:
        self.carry = carry

    def of(self, type_: str) -> list[Any]:
        return [payload for each, payload in self.events if each == type_]

    def items(self) -> list[tuple[str, str]]:
        return [(each.final_item.id, each.final_item.type) for each in self.of("item_done")]

    def open_items(self) -> set[str]:
        ended = {each.item_id for type_ in ("item_done", "item_cancelled", "item_error") for each in self.of(type_)}
        return {each.item_id for each in self.of("item_start")} - ended


def recording(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (RECORDINGS / f"{name}.jsonl").read_text().splitlines()]


def told(name: str, root: Path = Path("/workspace/ws")) -> tuple[Messages, Heard]:
    heard = Heard()
    messages = Messages(heard, root, "resp_1")
    for raw in recording(name):
        messages.hear(raw)
    return messages, heard


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDINGS.iterdir()))
def test_every_item_ends_and_the_result_is_known(name: str) -> None:
    messages, heard = told(name)
    assert messages.result is not None
    if messages.result["is_error"]:
        messages.stop(failure(messages.result, messages.kind, answering=messages.answer_began))
    assert heard.open_items() == set()
    assert all(
        type_.startswith("item_") or type_ in ("usage_update", "warning") or "file_" in type_
        for type_, _ in heard.events
    )


def test_text_streams_and_the_session_is_remembered_at_once() -> None:
    messages, heard = told("text")
    assert heard.items() == [("msg_fake0001_0", "message")]
    deltas = [each.delta_content for each in heard.of("item_delta")]
    assert deltas == ["Hello", " from", " fake", " claude (text, 0 tool results)."]
    assert heard.of("item_done")[0].final_item.content == "".join(deltas)
    assert heard.carry == {"claude_session": "session-1"}
    assert heard.model == "claude-opus-4-8[1m]"
    assert messages.usage.total is not None
    assert messages.usage.total.model_dump(exclude_none=True) == {
        "prompt_tokens": 54, "completion_tokens": 9, "total_tokens": 63, "cached_tokens": 40,
    }  # fmt: skip


def test_thinking_is_reasoning() -> None:
    _, heard = told("think")
    assert heard.items() == [("msg_fake0002_0", "reasoning"), ("msg_fake0002_1", "message")]
    assert heard.of("item_done")[0].final_item.content == "Let me think about it."


def test_a_call_has_its_streamed_arguments_and_its_output() -> None:
    messages, heard = told("shell")
    assert heard.items() == [
        ("msg_fake0003_0", "message"),
        ("toolu_0003_1", "function_call"),
        ("toolu_0003_1_output", "function_call_output"),
        ("msg_fake0004_0", "message"),
    ]
    call, output = (heard.of("item_done")[number].final_item for number in (1, 2))
    assert json.loads(call.arguments)["description"] == "run it"
    assert call.arguments == "".join(
        each.delta_content for each in heard.of("item_delta") if each.item_id == "toolu_0003_1"
    )
    assert (output.call_id, output.output, output.success) == ("toolu_0003_1", "hello-from-claude", True)
    assert [each.usage.total_tokens for each in heard.of("usage_update")] == [79, 145]
    assert messages.usage.total == heard.of("usage_update")[-1].usage


def test_a_written_file_is_told_by_its_place_in_the_working_directory() -> None:
    _, heard = told("write")
    assert [(each.path, each.bytes) for each in heard.of("file_written")] == [("written.md", None)]


def test_a_written_file_outside_of_the_working_directory_is_not_told() -> None:
    _, heard = told("write", Path("/elsewhere"))
    assert heard.of("file_written") == []


def test_a_message_that_was_fetched_again_without_a_stream_takes_the_abandoned_ones_place() -> None:
    for name, message in (("cut_197", "msg_fake0019"), ("cut_refetched", "msg_2")):
        messages, heard = told(name)
        assert heard.items() == [(f"{message}_0", "message")]
        assert heard.of("item_done")[0].final_item.content == "ok"
        assert len(heard.of("item_cancelled")) == 1
        assert [each.code for each in heard.of("warning")] == ["provider_stream_cut"]
        assert messages.usage.total is not None
        assert messages.usage.total.completion_tokens >= 5


def test_only_the_unfinished_block_of_a_cut_answer_is_abandoned() -> None:
    _, heard = told("cut_late")
    assert ("msg_1_0", "reasoning") in heard.items()
    assert [each.item_id for each in heard.of("item_cancelled")] == ["msg_1_1"]


def test_a_cut_that_ends_the_turn_is_its_error_and_no_warning() -> None:
    messages, heard = told("cut")
    assert messages.result is not None
    error = failure(messages.result, messages.kind, answering=messages.answer_began)
    assert (error.code, error.retryable) == ("provider_stream_cut", True)
    assert heard.items() == []
    assert heard.of("warning") == []


def test_a_resumed_session_counts_this_turn_only() -> None:
    messages, heard = told("resumed")
    assert messages.result is not None
    assert messages.result["modelUsage"]["claude-sonnet-4-5"]["inputTokens"] == 31  # the whole session's
    assert messages.usage.total is not None
    assert (messages.usage.total.prompt_tokens, messages.usage.total.completion_tokens) == (63, 9)
    assert [each.usage.prompt_tokens for each in heard.of("usage_update")] == [63]


def test_a_subagents_words_are_no_items_but_its_tokens_count() -> None:
    messages, heard = told("subagent")
    assert heard.items() == [
        ("toolu_t", "function_call"), ("toolu_t_output", "function_call_output"), ("msg_m2_0", "message"),
    ]  # fmt: skip
    assert messages.usage.total is not None
    assert messages.usage.total.completion_tokens == 20 + 30 + 40 + 50


def test_a_denied_tool_is_a_warning() -> None:
    _, heard = told("denied")
    assert [each.code for each in heard.of("warning")] == ["permission_denied"]
    assert [each.final_item.success for each in heard.of("item_done") if each.item_id == "toolu_1_output"] == [False]


def test_a_refused_request_has_no_items_and_its_retry_is_a_warning() -> None:
    messages, heard = told("http429")
    assert messages.result is not None
    error = failure(messages.result, messages.kind, answering=messages.answer_began)
    assert (error.code, error.retryable) == ("rate_limit_error", True)
    assert heard.items() == []
    assert [each.code for each in heard.of("warning")] == ["provider_retry"]
    assert messages.usage.total is None


def test_a_limit_of_turns_is_final() -> None:
    messages, _ = told("maxturns")
    assert messages.result is not None
    error = failure(messages.result, messages.kind, answering=messages.answer_began)
    assert (error.code, error.retryable) == ("error_max_turns", False)
    assert error.message == "Reached maximum number of turns (1)"


def test_a_provider_that_repeats_its_ids_gets_items_and_usage_of_their_own() -> None:
    heard = Heard()
    messages = Messages(heard, Path("/workspace/ws"), "resp_1")
    for _ in range(2):
        for raw in recording("text")[:-1]:
            messages.hear(raw)

    assert [item_id for item_id, _ in heard.items()] == ["msg_fake0001_0", "msg_fake0001_0_2"]
    assert messages.usage.total is not None
    assert messages.usage.total.completion_tokens == 18


def test_what_comes_after_a_stop_is_not_told_but_counted() -> None:
    heard = Heard()
    messages = Messages(heard, Path("/workspace/ws"), "resp_1")
    raws = recording("text")
    for raw in raws[:5]:
        messages.hear(raw)
    messages.stop()
    before = len(heard.events)
    for raw in raws[5:]:
        messages.hear(raw)

    assert [each.item_id for each in heard.of("item_cancelled")] == ["msg_fake0001_0"]
    assert before == len(heard.events)
    assert messages.result is not None


@pytest.mark.parametrize(
    ("result", "kind", "code", "retryable"),
    [
        ({"api_error_status": 503, "api_error_type": "overloaded_error"}, None, "overloaded_error", True),
        ({"api_error_status": 502, "result": "x"}, None, "http_502", True),
        ({"api_error_status": 400, "result": "x"}, None, "invalid_request_error", False),
        ({"api_error_type": "api_error", "result": "x"}, None, "api_error", True),
        ({"api_error_type": "invalid_request_error", "result": "x"}, None, "invalid_request_error", False),
        ({"result": "Not logged in · Please run /login"}, "authentication_failed", "authentication_error", False),
        ({"result": "API Error: Unable to connect to API (ECONNREFUSED)"}, "unknown", "provider_unreachable", True),
        ({"result": "API Error: JSON Parse error: Expected '}'"}, "unknown", "provider_malformed", True),
        ({"result": "API Error: Content block not found"}, "unknown", "stream_sequence_error", True),
        ({"result": "API Error: something new"}, "unknown", "api_error", True),
        ({"subtype": "error_during_execution"}, None, "error_during_execution", True),
        ({"subtype": "error_max_budget_usd", "errors": ["too dear"]}, None, "error_max_budget_usd", False),
    ],
)  # fmt: skip
def test_failures_have_the_providers_code(result: dict[str, Any], kind: str | None, code: str, retryable: bool) -> None:
    error = failure({"subtype": "success", "is_error": True, **result}, kind, answering=False)
    assert (error.code, error.retryable) == (code, retryable)
    assert error.message

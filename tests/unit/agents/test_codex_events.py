"""Recorded notifications of `codex app-server` 0.169, played to what turns them into events."""

import json
from pathlib import Path
from typing import Any

import pytest

from cody.agents.base import OutputLimits
from cody.agents.drivers.codex.events import Events
from cody.agents.drivers.codex.transcript import Call, Output, Spoken, entry_of
from cody.contract.errors import ErrorInfo
from cody.contract.payloads import Payload
from cody.contract.usage import Usage

RECORDED = Path(__file__).parents[3] / "fixtures" / "agents" / "codex"
THREAD, TURN = "01a1fbb6-829c-7fc3-844d-4d3ba156f0b2", "01a1fbb6-82bd-78c0-a592-e38d3c1cc63c"


class Told:
    def __init__(self) -> None:
        self.events: list[tuple[str, Payload]] = []
        self.kept = ""

    def emit(self, type_: str, payload: Payload) -> None:
        self.events.append((type_, payload))

    def keep(self, text: str) -> None:
        self.kept += text

    def of(self, type_: str) -> list[Any]:
        return [payload for each, payload in self.events if each == type_]

    def final(self) -> list[dict[str, Any]]:
        return [each.final_item.model_dump(exclude_none=True) for each in self.of("item_done")]


def recorded(name: str) -> list[tuple[str, dict[str, Any]]]:
    lines = (RECORDED / f"{name}.jsonl").read_text().splitlines()
    return [(line["method"], line["params"]) for line in map(json.loads, lines)]


def events_for(told: Told, ids: tuple[str, str] = (THREAD, TURN), root: str = "/workspace/ws") -> Events:
    return Events(told, "resp_1", ids, Path(root), OutputLimits())


def about(**params: Any) -> dict[str, Any]:
    return {"threadId": THREAD, "turnId": TURN, **params}


def tokens(prompt: int, completion: int, whole: int) -> dict[str, Any]:
    def counts(input_: int, output: int) -> dict[str, int]:
        return {
            "inputTokens": input_, "cachedInputTokens": 1, "outputTokens": output, "reasoningOutputTokens": 2,
            "totalTokens": input_ + output,
        }  # fmt: skip

    return {"last": counts(prompt, completion), "total": counts(whole, completion)}


def test_a_recorded_turn_becomes_its_items_without_the_threads_file() -> None:
    told = Told()
    events = events_for(told)
    for method, params in recorded("burst"):
        events.hear(method, params)
    assert events.turn is not None
    events.close(None)

    assert [item["id"] for item in told.final()] == ["msg_pre0042", "call_0042", "call_0042_output", "msg_0043"]
    message, call, output, last = told.final()
    assert message["content"] == "I'll run a command."
    assert (call["name"], json.loads(call["arguments"])["workdir"]) == ("exec_command", "/workspace/ws")
    assert (output["output"], output["success"]) == ("line 1\nline 2\nline 3\n", True)
    assert last["content"] == "Hello from the fake model (burst, 1 tool outputs)."
    assert "".join(each.text for each in told.of("subprocess_output")) == "line 1\nline 2\nline 3\n"
    assert events.spent.known == Usage(
        prompt_tokens=285, completion_tokens=125, total_tokens=410, cached_tokens=80, reasoning_tokens=0
    )
    assert told.of("warning") == []


def test_the_threads_file_gives_a_call_the_models_own_words() -> None:
    told = Told()
    events = events_for(told)
    call = Call("fc_1", "call_0042", "exec_command", '{"cmd": "for i in 1 2 3"}')
    for method, params in recorded("burst"):
        if events.needs(method, params) == "call_0042":
            events.take(call)
        events.hear(method, params)
    events.take(Output("call_0042", "said again"))
    events.close(None)

    calls = [item for item in told.final() if item["type"] == "function_call"]
    assert [(item["id"], item["arguments"]) for item in calls] == [("fc_1", '{"cmd": "for i in 1 2 3"}')]
    assert [item["output"] for item in told.final() if "output" in item] == ["line 1\nline 2\nline 3\n"]


def test_a_recorded_interrupt_cancels_the_message() -> None:
    told = Told()
    slow = recorded("slow")
    ids = next((params["threadId"], params["turn"]["id"]) for method, params in slow if method == "turn/started")
    events = events_for(told, ids)
    for method, params in slow:
        events.hear(method, params)
    assert events.turn is not None
    assert events.turn["status"] == "interrupted"
    events.close(None)
    assert [each.item_id for each in told.of("item_cancelled")] == ["msg_0045"]


def test_other_turns_and_threads_say_nothing_here_but_sub_agents_count() -> None:
    told = Told()
    events = events_for(told)
    item = {"type": "agentMessage", "id": "msg_1", "text": "not mine"}
    for ids in ({"turnId": "before"}, {"threadId": "child"}):
        events.hear("item/completed", {**about(item=item), **ids})
        events.hear("turn/completed", {"turn": {"id": "before", "status": "completed"}, **about(), **ids})
    usage = "thread/tokenUsage/updated"
    events.hear(usage, {**about(tokenUsage=tokens(500, 50, 500)), "turnId": "before"})
    events.hear(usage, {**about(tokenUsage=tokens(7, 1, 7)), "threadId": "child"})
    events.hear(usage, about(tokenUsage=tokens(20, 2, 520)))

    assert told.final() == []
    assert events.turn is None
    assert events.spent.usage.prompt_tokens == 27


def test_usage_that_is_told_twice_or_made_up_by_a_full_context_is_not_counted() -> None:
    told = Told()
    events = events_for(told)
    for each in (tokens(20, 2, 20), tokens(20, 2, 20), tokens(0, 0, 258400)):
        events.hear("thread/tokenUsage/updated", about(tokenUsage=each))
    assert [each.usage.total_tokens for each in told.of("usage_update")] == [22]


def test_a_failed_turn_fails_what_is_open() -> None:
    told = Told()
    events = events_for(told)
    events.take(Call("fc_1", "call_1", "exec_command", "{}"))
    events.hear("item/started", about(item={"type": "agentMessage", "id": "msg_1", "text": ""}))
    events.close(ErrorInfo(code="server_error", message="we broke"))
    assert [each.error.code for each in told.of("item_error")] == ["server_error"]
    assert [(item["output"], item["success"]) for item in told.final() if "output" in item] == [("we broke", False)]


def test_raw_reasoning_streams_where_there_is_no_summary() -> None:
    told = Told()
    events = events_for(told)
    events.hear("item/started", about(item={"type": "reasoning", "id": "rs_1", "summary": [], "content": []}))
    for index, delta in ((0, "raw "), (0, "one"), (1, "two")):
        events.hear("item/reasoning/textDelta", about(itemId="rs_1", contentIndex=index, delta=delta))
    done = {"type": "reasoning", "id": "rs_1", "summary": [], "content": ["raw one", "two"]}
    events.hear("item/completed", about(item=done))
    assert told.final()[0]["content"] == "raw one\n\ntwo"
    assert "".join(each.delta_content for each in told.of("item_delta")) == "raw one\n\ntwo"


def test_a_tool_of_the_providers_is_a_call_with_its_answer() -> None:
    told = Told()
    events = events_for(told)
    search: dict[str, Any] = {"type": "webSearch", "id": "ws_1", "query": "weather"}
    events.hear("item/started", about(item={**search, "action": {"type": "other"}}))
    events.hear("item/completed", about(item={**search, "action": {"type": "search", "query": "weather"}}))
    call, output = told.final()
    assert (call["name"], json.loads(call["arguments"])["query"]) == ("web_search", "weather")
    assert (output["call_id"], output["success"]) == ("ws_1", True)


def test_an_mcp_tool_that_fails_is_told_by_its_status() -> None:
    told = Told()
    events = events_for(told)
    item = {
        "type": "mcpToolCall",
        "id": "call_1",
        "server": "docs",
        "tool": "find",
        "arguments": {},
        "status": "failed",
    }
    events.take(Call("fc_1", "call_1", "mcp__docs__find", "{}"))
    events.hear("item/started", about(item={**item, "status": "inProgress"}))
    events.hear("item/completed", about(item=item))
    events.take(Output("call_1", "it does not answer"))
    assert [(item["output"], item["success"]) for item in told.final() if "output" in item] == [
        ("it does not answer", False)
    ]


def test_output_from_before_codex_listened_is_told_late_rather_than_not_at_all() -> None:
    told = Told()
    events = events_for(told)
    item = {"type": "commandExecution", "id": "call_1", "command": "sh", "cwd": "/workspace/ws", "status": "inProgress"}
    events.hear("item/started", about(item=item))
    events.hear("item/commandExecution/outputDelta", about(itemId="call_1", delta="middle\n"))
    whole = {"status": "completed", "exitCode": 0, "aggregatedOutput": "first\nmiddle\nlast\n"}
    events.hear("item/completed", about(item={**item, **whole}))
    events.close(None)
    assert sorted("".join(each.text for each in told.of("subprocess_output")).split()) == ["first", "last", "middle"]


@pytest.mark.parametrize(
    ("item", "entry"),
    [
        (
            {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{not"},
            Call("fc_1", "c", "f", "{not"),
        ),
        (
            {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c", "name": "apply_patch", "input": "é"},
            Call("ctc_1", "c", "apply_patch", '{"input": "é"}'),
        ),
        (
            {"type": "function_call", "call_id": "c", "namespace": "mcp__docs__", "name": "find", "arguments": "{}"},
            Call("c", "c", "mcp__docs__find", "{}"),
        ),
        (
            {"type": "local_shell_call", "id": "l", "call_id": "c", "action": {"command": ["ls"]}},
            Call("l", "c", "local_shell", '{"command": ["ls"]}'),
        ),
        ({"type": "function_call_output", "call_id": "c", "output": "text"}, Output("c", "text")),
        (
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "a"}]},
            Output("c", "a"),
        ),
        (
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "image_url": "data:"}]},
            Output("c", "(an image)"),
        ),
        ({"type": "message", "id": "m", "role": "assistant", "content": []}, Spoken("m")),
        ({"type": "reasoning", "id": "r", "summary": []}, Spoken("r")),
        ({"type": "message", "id": "m", "role": "user", "content": []}, None),
        ({"type": "web_search_call", "id": "ws_1", "status": "completed"}, None),
    ],
)
def test_the_threads_file_is_understood(item: dict[str, Any], entry: object) -> None:
    assert entry_of(item) == entry

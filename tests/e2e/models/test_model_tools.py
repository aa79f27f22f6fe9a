"""Tools that fail, that do not exist and that work: the model is told, and the turn goes on."""

from typing import Any

import pytest

from tests.e2e.models.answers import APIS, TOKENS, Api, Call, Text, answer, scenario
from tests.e2e.models.checks import finished, outputs, plain, start, texts
from tests.e2e.models.playing import Providers
from tests.e2e.runs.checks import types
from tests.service import Service

pytestmark = pytest.mark.parametrize("api", APIS)


def told(api: Api, call_id: str, text: str) -> dict[str, Any]:
    """What a request expects that says what a tool gave."""
    output = {"$contains": text}
    if api == "openai":
        return {"input": [{"type": "function_call_output", "call_id": call_id, "output": output}]}
    block = {"type": "tool_result", "tool_use_id": call_id, "content": [{"type": "text", "text": output}]}
    return {"messages": [{"role": "user", "content": [block]}]}


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("read_file", {"path": "missing.txt"}, "missing.txt"),
        ("read_file", {"path": "../secret"}, "secret"),
        ("read_file", {"way": "somewhere"}, "path"),
        ("shell", {"command": "echo away >&2; exit 3"}, "away"),
        ("make_coffee", {}, "make_coffee"),
    ],
)
def test_a_tool_that_fails_answers_the_model(
    api: Api, name: str, arguments: dict[str, Any], reason: str, models: Service, providers: Providers
) -> None:
    last = {"expect": told(api, "call_1", reason), "chunks": answer(api, "b", Text("I see."))}
    play = providers.play(scenario(api, answer(api, "a", Call("call_1", name, arguments)), last))
    response, _ = finished(start(models, play, plain(api), root=models.workspace()))
    play.check()
    ((success, output),) = outputs(response)
    assert not success
    assert reason in output
    assert (response["status"], texts(response)) == ("complete", ["I see."])
    assert response["usage"]["total_tokens"] == 2 * sum(TOKENS)


def test_calls_of_one_answer_run_in_order(api: Api, models: Service, providers: Providers) -> None:
    calls = [
        Call("call_1", "write_file", {"path": "a.txt", "content": "one\n"}),
        Call("call_2", "shell", {"command": "cat a.txt; echo two >> a.txt"}),
        Call("call_3", "read_file", {"path": "a.txt"}),
    ]
    last = {"expect": told(api, "call_3", "two"), "chunks": answer(api, "b", Text("Done."))}
    play = providers.play(scenario(api, answer(api, "a", Text("I begin."), *calls), last))
    root = models.workspace()
    response, events = finished(start(models, play, plain(api), root=root))
    play.check()
    assert [success for success, _ in outputs(response)] == [True, True, True]
    assert [item["type"] for item in response["output_items"]] == [
        "message", *["function_call"] * 3, *["function_call_output"] * 3, "message",
    ]  # fmt: skip
    assert (root / "a.txt").read_text() == "one\ntwo\n"
    assert "file_written" in types(events, "file_written")


def test_tools_are_offered_as_the_request_narrows_them(api: Api, models: Service, providers: Providers) -> None:
    play = providers.play(scenario(api, answer(api, "a", Text("Hi."))))
    finished(start(models, play, plain(api, tools=["list_dir"]), root=models.workspace()))
    (body,) = play.bodies
    assert [tool["name"] for tool in body["tools"]] == ["list_dir"]


def test_without_a_working_directory_there_are_no_tools(api: Api, models: Service, providers: Providers) -> None:
    play = providers.play(scenario(api, answer(api, "a", Text("Hi."))))
    finished(start(models, play, plain(api)))
    (body,) = play.bodies
    assert "tools" not in body

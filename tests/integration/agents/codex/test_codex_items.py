import json
import os
from pathlib import Path

import pytest

from cody.contract.usage import Usage
from tests.integration.agents.codex.codex_stage import (
    MODEL,
    WORKERS_SECRET,
    CodexStage,
    answer,
    message,
    patch,
    reasoning,
    shell,
    tool,
)
from tests.integration.agents.driven_stage import KEY


async def test_a_message_streams_under_the_providers_id(codex: CodexStage) -> None:
    turn = await codex.run(answer(message("msg_a", "Hel", "lo ", "wörld 🌍")))

    assert turn.ended.error is None
    assert turn.ended.finish_reason == "stop"
    assert turn.heard.items("message") == [
        {"id": "msg_a", "type": "message", "origin": "agent", "content": "Hello wörld 🌍"}
    ]
    assert [each.delta_content for each in turn.heard.of("item_delta")] == ["Hel", "lo ", "wörld 🌍"]
    assert turn.heard.types()[:2] == ["turn_started", "response_start"]
    assert turn.heard.of("turn_started")[0].model == MODEL
    assert "Hello wörld 🌍\n" in turn.heard.raw.decode()
    turn.session.check()
    assert turn.session.requests[0].headers["authorization"] == f"Bearer {KEY}"


async def test_reasoning_streams_its_summary_before_the_message(codex: CodexStage) -> None:
    turn = await codex.run(answer(reasoning("rs_a", "**Plan**", "Say hello."), message("msg_a", "Hello")))

    assert [each.item_id for each in turn.heard.of("item_start")] == ["rs_a", "msg_a"]
    assert turn.heard.items("reasoning")[0]["content"] == "**Plan**\n\nSay hello."
    assert turn.heard.streamed("rs_a") == "**Plan**\n\nSay hello."
    assert turn.session.requests[0].body["reasoning"]["summary"] == "auto"


async def test_usage_adds_up_the_answers_of_the_turn(codex: CodexStage) -> None:
    turn = await codex.run(
        answer(shell("call_1", "true"), prompt=100, cached=60, completion=20, reasoning=8),
        answer(message("msg_a", "done"), prompt=150, cached=100, completion=30, reasoning=1),
    )

    whole = Usage(prompt_tokens=250, completion_tokens=50, total_tokens=300, cached_tokens=160, reasoning_tokens=9)
    assert turn.ended.usage == whole
    assert [update.usage.total_tokens for update in turn.heard.of("usage_update")] == [120, 300]


async def test_a_command_is_a_call_and_its_output(codex: CodexStage) -> None:
    turn = await codex.run(
        answer(message("msg_a", "Look:"), shell("call_1", "echo out; sleep 0.3; echo err >&2")),
        answer(message("msg_b", "done"), expect={"input": [{"type": "function_call_output", "call_id": "call_1"}]}),
    )

    turn.session.check()
    (call,) = turn.heard.items("function_call")
    assert (call["id"], call["name"], call["call_id"]) == ("fc_call_1", "exec_command", "call_1")
    assert json.loads(call["arguments"]) == {"cmd": "echo out; sleep 0.3; echo err >&2"}
    assert turn.heard.outputs() == {"call_1": ("out\nerr\n", True)}
    assert [each.item_id for each in turn.heard.of("item_start")] == ["msg_a", "fc_call_1", "call_1_output", "msg_b"]
    assert sorted(turn.heard.text().split()) == ["err", "out"]
    assert turn.heard.open_items() == set()


@pytest.mark.parametrize("sandbox", ["danger-full-access", "read-only"])
async def test_tools_that_fail_answer_the_model_and_the_turn_goes_on(codex: CodexStage, sandbox: str) -> None:
    turn = await codex.run(
        answer(
            shell("call_1", "touch /no/where; exit 3"),
            tool("call_2", "no_such_tool", {"a": 1}),
            tool("call_3", "exec_command", "{not json"),
            patch("call_4", "*** Update File: nowhere.txt", "@@", "-a", "+b"),
        ),
        answer(message("msg_a", "well")),
        settings={"sandbox": sandbox},
    )

    outputs = turn.heard.outputs()
    assert {call_id: success for call_id, (_, success) in outputs.items()} == {
        "call_1": False, "call_2": False, "call_3": False, "call_4": False,
    }  # fmt: skip
    assert "cannot touch '/no/where'" in outputs["call_1"][0]
    assert "no_such_tool" in outputs["call_2"][0]
    assert "nowhere.txt" in outputs["call_4"][0]
    assert [each["arguments"] for each in turn.heard.items("function_call")][2] == "{not json"
    assert turn.heard.items("message")[0]["content"] == "well"
    assert turn.ended.error is None


async def test_a_patch_tells_the_files_that_it_changed(codex: CodexStage) -> None:
    (codex.root / "old.txt").write_text("one\n")
    (codex.root / "gone.txt").write_text("gone\n")
    (codex.root / "sub").mkdir()
    (codex.root / "sub" / "from.txt").write_text("moves\n")
    turn = await codex.run(
        answer(
            patch(
                "call_1",
                "*** Add File: sub/new.txt", "+hello",
                "*** Update File: old.txt", "@@", "-one", "+two",
                "*** Delete File: gone.txt",
                "*** Update File: sub/from.txt", "*** Move to: sub/to.txt", "@@", "-moves", "+moved",
            )
        ),
        answer(message("msg_a", "done")),
    )  # fmt: skip

    assert {(each.path, each.bytes) for each in turn.heard.of("file_written")} == {
        ("sub/new.txt", 6), ("old.txt", 4), ("sub/to.txt", 6),
    }  # fmt: skip
    assert {each.path for each in turn.heard.of("file_deleted")} == {"gone.txt", "sub/from.txt"}
    (call,) = turn.heard.items("function_call")
    assert call["name"] == "apply_patch"
    assert json.loads(call["arguments"])["input"].startswith("*** Begin Patch\n*** Add File: sub/new.txt\n")
    assert turn.heard.outputs()["call_1"][1] is True
    assert (codex.root / "old.txt").read_text() == "two\n"


async def test_parallel_commands_are_told_apart(codex: CodexStage) -> None:
    turn = await codex.run(
        answer(*(shell(f"call_{n}", f"sleep 0.{n}; echo I am {n}") for n in range(1, 5))),
        answer(message("msg_a", "done")),
    )

    assert turn.heard.outputs() == {f"call_{n}": (f"I am {n}\n", True) for n in range(1, 5)}
    assert [each["call_id"] for each in turn.heard.items("function_call")] == [f"call_{n}" for n in range(1, 5)]


async def test_calls_that_share_an_id_are_told_apart(codex: CodexStage) -> None:
    turn = await codex.run(
        answer(shell("call_1", "echo one")),
        answer(tool("call_1", "no_such_tool", {})),
        answer(shell("call_1", "echo two")),
        answer(message("msg_a", "done")),
    )
    outputs = turn.heard.items("function_call_output")
    assert [item["id"] for item in outputs] == ["call_1_output", "call_1_output_2", "call_1_output_3"]
    assert [item["output"] for item in outputs] == ["one\n", "unsupported call: no_such_tool", "two\n"]
    assert len(turn.heard.items("function_call")) == 3


async def test_test_runs_in_a_commands_output_are_recognised(codex: CodexStage) -> None:
    printed = (
        "============================= test session starts ==============================\n"
        "collected 3 items\n"
        "========================= 2 passed, 1 failed in 0.12s ==========================\n"
    )
    (codex.root / "printed").write_text(printed)
    turn = await codex.run(answer(shell("call_1", "cat printed; exit 1")), answer(message("msg_a", "done")))

    assert len(turn.heard.of("test_run_started")) == 1
    (run,) = turn.heard.of("test_run_completed")
    assert (run.passed, run.failed, run.duration_ms) == (2, 1, 120)


async def test_a_command_that_goes_on_in_the_background_ends_with_the_turn(codex: CodexStage) -> None:
    turn = await codex.run(
        answer(shell("call_1", "echo $$ > pid; sleep 1000", yield_time_ms=400)),
        answer(message("msg_a", "early")),
    )

    assert turn.heard.outputs()["call_1"][1] is True
    assert turn.heard.items("message")[0]["content"] == "early"
    assert not Path(f"/proc/{int((codex.root / 'pid').read_text())}").exists()


async def test_a_thousand_deltas_arrive_in_order(codex: CodexStage) -> None:
    pieces = [f"{n} " for n in range(1000)]
    turn = await codex.run(answer(message("msg_a", *pieces)))

    assert turn.heard.streamed("msg_a") == "".join(pieces)
    assert turn.heard.items("message")[0]["content"] == "".join(pieces)


async def test_empty_content_and_an_empty_prompt_are_valid(codex: CodexStage) -> None:
    turn = await codex.run(answer(message("msg_a")), prompt="")

    assert turn.ended.error is None
    assert turn.heard.items("message") == [{"id": "msg_a", "type": "message", "origin": "agent", "content": ""}]


async def test_a_command_sees_neither_the_workers_environment_nor_the_key(
    codex: CodexStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WORKERS_SECRET, "hidden")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    turn = await codex.run(
        answer(shell("call_1", "env; cat /proc/$PPID/environ /proc/$PPID/cmdline | tr '\\0' '\\n'")),
        answer(message("msg_a", "done")),
        env={"OF_THE_RUN": "shown"},
    )

    seen = turn.heard.outputs()["call_1"][0]
    assert "OF_THE_RUN=shown" in seen
    assert "app-server" in seen
    assert WORKERS_SECRET not in seen
    assert KEY not in seen
    written = [path for path in codex.home.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert written == []
    assert os.environ[WORKERS_SECRET] == "hidden"

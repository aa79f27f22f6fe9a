"""What the real Claude Code does in a turn, as items, files and usage."""

import json

from tests.integration.agents.claude_code.claude_stage import ClaudeStage, answer, calls, text, thinking, tool


async def test_text_streams_as_a_message_and_cached_tokens_count_as_prompt_tokens(claude: ClaudeStage) -> None:
    turn = await claude.run(answer("msg_1", text(0, "Hel", "lo."), fresh=11, new=3, cached=40, output=9))

    assert turn.ended.error is None
    assert turn.ended.finish_reason == "stop"
    assert turn.heard.types()[:2] == ["turn_started", "response_start"]
    assert turn.heard.items() == [{"id": "msg_1_0", "origin": "agent", "type": "message", "content": "Hello."}]
    assert turn.heard.streamed("msg_1_0") == "Hello."
    assert len([each for each in turn.heard.of("item_delta") if each.item_id == "msg_1_0"]) == 2
    assert bytes(turn.heard.raw).decode().strip() == "Hello."
    assert turn.ended.usage is not None
    assert turn.ended.usage.model_dump(exclude_none=True) == {
        "prompt_tokens": 54, "completion_tokens": 9, "total_tokens": 63, "cached_tokens": 40,
    }  # fmt: skip
    assert turn.heard.of("usage_update")[-1].usage == turn.ended.usage
    turn.session.check()


async def test_thinking_is_a_reasoning_item_before_the_message(claude: ClaudeStage) -> None:
    turn = await claude.run(answer("msg_1", thinking(0, "Let me ", "think."), text(1, "Done.")))

    assert [(item["id"], item["type"], item["content"]) for item in turn.heard.items()] == [
        ("msg_1_0", "reasoning", "Let me think."),
        ("msg_1_1", "message", "Done."),
    ]
    assert turn.heard.streamed("msg_1_0") == "Let me think."


async def test_commands_are_calls_and_outputs_with_their_exit_that_go_back_to_the_model(claude: ClaudeStage) -> None:
    good, bad = {"command": "echo made > made.txt; cat made.txt"}, {"command": "echo broken; exit 3"}
    turn = await claude.run(
        calls(
            "msg_1",
            text(0, "I run it."),
            tool(1, "toolu_1", "Bash", good),
            tool(2, "toolu_2", "Bash", bad),
            tool(3, "toolu_3", "Nope", {"a": 1}),
        ),
        answer("msg_2", text(0, "Done.")),
    )

    items = {item["id"]: item for item in turn.heard.items()}
    assert set(items) == {
        "msg_1_0", "toolu_1", "toolu_1_output", "toolu_2", "toolu_2_output", "toolu_3", "toolu_3_output", "msg_2_0",
    }  # fmt: skip
    assert items["toolu_1"]["call_id"] == "toolu_1"
    assert items["toolu_1"]["name"] == "Bash"
    assert items["toolu_1"]["arguments"] == json.dumps(good) == turn.heard.streamed("toolu_1")
    assert (items["toolu_1_output"]["output"], items["toolu_1_output"]["success"]) == ("made", True)
    assert items["toolu_2_output"]["success"] is False
    assert "broken" in items["toolu_2_output"]["output"]
    assert items["toolu_3_output"]["success"] is False
    sent = json.dumps(turn.session.requests[1].body["messages"])
    assert all(f'"tool_use_id": "toolu_{number}"' in sent for number in (1, 2, 3))
    assert turn.ended.error is None
    assert (claude.root / "made.txt").read_text() == "made\n"
    turn.session.check()


async def test_files_that_tools_write_and_read_are_told(claude: ClaudeStage) -> None:
    path = str(claude.root / "sub" / "ä.txt")
    outside = str(claude.home / "other.txt")
    turn = await claude.run(
        calls(
            "msg_1",
            tool(0, "toolu_1", "Write", {"file_path": path, "content": "one\n"}),
            tool(1, "toolu_2", "Write", {"file_path": outside, "content": "two\n"}),
        ),
        calls("msg_2", tool(0, "toolu_3", "Edit", {"file_path": path, "old_string": "one", "new_string": "twelve"})),
        calls("msg_3", tool(0, "toolu_4", "Read", {"file_path": path})),
        calls("msg_4", tool(0, "toolu_5", "Edit", {"file_path": path, "old_string": "absent", "new_string": "x"})),
        answer("msg_5", text(0, "Done.")),
    )

    assert [(each.path, each.bytes) for each in turn.heard.of("file_written")] == [("sub/ä.txt", 4), ("sub/ä.txt", 7)]
    assert [(each.path, each.bytes) for each in turn.heard.of("file_read")] == [("sub/ä.txt", 7)]
    assert [item["success"] for item in turn.heard.items() if item["type"] == "function_call_output"][-1] is False


async def test_a_test_run_in_a_command_is_recognised(claude: ClaudeStage) -> None:
    summary = "===== test session starts =====\\n===== 1 failed, 2 passed in 0.03s =====\\n"
    turn = await claude.run(
        calls("msg_1", tool(0, "toolu_1", "Bash", {"command": f"printf '{summary}'; exit 1"})),
        answer("msg_2", text(0, "Done.")),
    )

    assert len(turn.heard.of("test_run_started")) == 1
    (ended,) = turn.heard.of("test_run_completed")
    assert (ended.passed, ended.failed, ended.skipped) == (2, 1, 0)


async def test_a_subagents_words_are_its_calls_output_and_its_tokens_count(claude: ClaudeStage) -> None:
    task = {"description": "look", "prompt": "look into it", "subagent_type": "general-purpose"}
    turn = await claude.run(
        calls("msg_1", tool(0, "toolu_1", "Task", task), fresh=10, output=2),
        calls("msg_2", text(0, "sub"), tool(1, "toolu_2", "Bash", {"command": "echo deep"}), fresh=100, output=3),
        answer("msg_3", text(0, "the subagent's report"), fresh=1000, output=4),
        answer("msg_4", text(0, "All done."), fresh=10000, output=5),
    )

    assert [item["id"] for item in turn.heard.items()] == ["toolu_1", "toolu_1_output", "msg_4_0"]
    assert "the subagent's report" in turn.heard.items()[1]["output"]
    assert turn.ended.usage is not None
    assert (turn.ended.usage.prompt_tokens, turn.ended.usage.completion_tokens) == (11110, 14)


async def test_the_project_has_its_say(claude: ClaudeStage) -> None:
    (claude.root / "CLAUDE.md").write_text("Always answer in rhymes.\n")
    turn = await claude.run(answer("msg_1", text(0, "x")), prompt="Write a poem.")

    body = json.dumps(turn.session.requests[0].body)
    assert "Always answer in rhymes." in body
    assert "Write a poem." in body
    assert "You are an agent working with the user" in body


async def test_many_small_deltas_all_arrive(claude: ClaudeStage) -> None:
    pieces = [f"{number} " for number in range(2000)]
    turn = await claude.run(answer("msg_1", text(0, *pieces)))

    assert turn.heard.contents() == ["".join(pieces)]
    assert turn.heard.streamed("msg_1_0") == "".join(pieces)


async def test_what_the_safeguards_stop_is_a_refusal_and_no_error(claude: ClaudeStage) -> None:
    turn = await claude.run(answer("msg_1", text(0, "I will not."), reason="refusal"))

    assert turn.ended.error is None
    assert turn.ended.finish_reason == "refusal"
    assert turn.heard.contents() == ["I will not."]

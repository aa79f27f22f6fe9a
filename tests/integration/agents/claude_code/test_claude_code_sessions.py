"""Turn after turn: Claude Code's own session, what a mode allows, and what its processes get to see."""

import json
from pathlib import Path

import pytest

from cody.agents.connections import Connection
from tests.integration.agents.claude_code.claude_stage import ClaudeStage, answer, calls, text, tool
from tests.integration.agents.driven_stage import KEY


async def test_the_next_turn_goes_on_with_the_session_and_counts_only_its_own_tokens(claude: ClaudeStage) -> None:
    first = await claude.run(answer("msg_1", text(0, "One."), fresh=100, output=10), prompt="the first question")
    second = await claude.run(
        answer("msg_2", text(0, "Two."), fresh=2000, cached=7, output=20),
        prompt="the second question", turn=2, carry=first.ended.carry,
    )  # fmt: skip

    assert first.ended.carry == {"claude_session": first.heard.remembered["claude_session"]}
    assert second.ended.carry == first.ended.carry
    assert second.heard.warnings() == []
    messages = json.dumps(second.session.requests[0].body["messages"])
    assert messages.index("the first question") < messages.index("One.") < messages.index("the second question")
    assert second.ended.usage is not None
    assert second.ended.usage.model_dump(exclude_none=True) == {
        "prompt_tokens": 2007, "completion_tokens": 20, "total_tokens": 2027, "cached_tokens": 7,
    }  # fmt: skip


@pytest.mark.parametrize("session", ["0b0c8b6c-3c2b-4a6e-9d3e-5f8f6b1f2a77", "no id at all"])
async def test_a_session_that_is_gone_is_replaced_by_a_fresh_one(claude: ClaudeStage, session: str) -> None:
    turn = await claude.run(answer("msg_1", text(0, "Hello.")), turn=2, carry={"claude_session": session})

    assert turn.ended.error is None
    assert turn.heard.contents() == ["Hello."]
    assert turn.heard.warnings() == ["session_lost"]
    assert len(turn.heard.of("response_start")) == 1
    assert turn.ended.carry["claude_session"] not in ("", session)
    assert turn.heard.remembered == turn.ended.carry


async def test_what_a_mode_would_ask_about_is_denied_with_a_warning(claude: ClaudeStage) -> None:
    path = claude.root / "made.txt"
    turn = await claude.run(
        calls("msg_1", tool(0, "toolu_1", "Write", {"file_path": str(path), "content": "x"})),
        answer("msg_2", text(0, "It was denied.")),
        settings={"permission_mode": "default"},
    )

    assert turn.ended.error is None
    assert turn.heard.warnings() == ["permission_denied"]
    assert "Write" in turn.heard.of("warning")[0].message
    assert [item["success"] for item in turn.heard.items() if item["type"] == "function_call_output"] == [False]
    assert turn.heard.of("file_written") == []
    assert not path.exists()


async def test_its_processes_see_the_provider_and_no_secret_of_the_worker(
    claude: ClaudeStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODY_TEST_SECRET", "of the worker")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "of the worker")
    monkeypatch.setenv("OPENAI_API_KEY", "of the worker")
    turn = await claude.run(
        calls("msg_1", tool(0, "toolu_1", "Bash", {"command": "env > env.txt; tr '\\0' ' ' < /proc/$PPID/cmdline"})),
        answer("msg_2", text(0, "Done.")),
        env={"MINE": "of the run"},
    )

    env = (claude.root / "env.txt").read_text()
    assert "of the worker" not in env
    assert "MINE=of the run" in env
    assert f"CODY_RUN_ID={claude.run_id}" in env
    outputs = [item["output"] for item in turn.heard.items() if item["type"] == "function_call_output"]
    assert "stream-json" in outputs[0]
    assert KEY not in outputs[0]
    assert turn.session.requests[0].headers["x-api-key"] == KEY


async def test_the_users_login_is_not_shown_to_an_address_that_brings_no_key(
    claude: ClaudeStage, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.mkdir()
    login = {
        "accessToken": "the-users-own",
        "refreshToken": "x",
        "expiresAt": 4102444800000,
        "scopes": ["user:inference"],
    }
    (config / ".credentials.json").write_text(json.dumps({"claudeAiOauth": login}))
    turn = claude.play(answer("msg_1", text(0, "Hello.")))
    await claude.take(
        turn, connection=Connection(turn.session.anthropic_base_url), env={"CLAUDE_CONFIG_DIR": str(config)}
    )

    assert turn.heard.contents() == ["Hello."]
    requests = [*turn.session.requests, *turn.session.other_requests]
    assert "the-users-own" not in str([each.headers for each in requests])


async def test_the_model_is_the_runs(claude: ClaudeStage) -> None:
    turn = await claude.run(answer("msg_1", text(0, "x")), settings={"model": "claude-haiku-4.5"})

    assert turn.session.requests[0].body["model"] == "claude-haiku-4.5"
    assert turn.heard.of("turn_started")[0].model == "claude-haiku-4.5"
    assert turn.heard.of("response_start")[0].model_id == "claude-haiku-4.5"

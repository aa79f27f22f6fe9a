from pathlib import Path

from cody.contract.usage import Usage
from tests.integration.agents.codex.codex_stage import CodexStage, answer, message, refusal, shell, tool


async def test_the_next_turn_goes_on_with_the_session_and_counts_only_its_own_tokens(codex: CodexStage) -> None:
    first = await codex.run(answer(message("msg_a", "I am Codex"), prompt=100), prompt="who are you?")
    assert first.heard.remembered == first.ended.carry
    seen = [
        {"role": "user", "content": [{"type": "input_text", "text": "who are you?"}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "I am Codex"}]},
        {"role": "user", "content": [{"type": "input_text", "text": "and I?"}]},
    ]
    second = await codex.run(
        answer(shell("call_1", "echo hi"), expect={"input": seen}, prompt=30),
        answer(tool("call_2", "no_such_tool", {}), prompt=40),
        answer(message("msg_b", "You are you"), prompt=50),
        prompt="and I?",
        carry=first.ended.carry,
    )

    second.session.check()
    assert second.ended.carry == first.ended.carry
    assert second.heard.warnings() == []
    assert second.heard.outputs() == {"call_1": ("hi\n", True), "call_2": ("unsupported call: no_such_tool", False)}
    assert [item["content"] for item in second.heard.items("message")] == ["You are you"]
    assert second.ended.usage == Usage(
        prompt_tokens=120, completion_tokens=15, total_tokens=135, cached_tokens=12, reasoning_tokens=6
    )


async def test_an_attempt_goes_on_with_the_session_of_the_one_that_failed(codex: CodexStage) -> None:
    failed = await codex.run(refusal(400, None))
    assert failed.ended.error is not None
    again = await codex.run(answer(message("msg_a", "now")), carry=failed.heard.remembered, attempt=2)

    assert again.ended.error is None
    assert again.ended.carry == failed.ended.carry
    assert again.heard.warnings() == []


async def test_a_session_that_is_gone_is_replaced_and_said_so(codex: CodexStage) -> None:
    gone = "01a1fd39-cb67-79a2-81a2-4c179c88d542"
    turn = await codex.run(answer(message("msg_a", "hello")), carry={"codex_thread": gone})

    assert turn.ended.error is None
    assert turn.heard.warnings() == ["session_lost"]
    assert gone in turn.heard.of("warning")[0].message
    assert turn.ended.carry["codex_thread"] not in ("", gone)


async def test_what_needs_an_approval_is_declined_and_never_hangs(codex: CodexStage) -> None:
    turn = await codex.run(
        answer(shell("call_1", "touch made", sandbox_permissions="require_escalated", justification="please")),
        answer(message("msg_a", "a pity")),
        settings={"approval": "on-request", "sandbox": "read-only"},
    )

    assert turn.heard.warnings() == ["permission_denied"]
    assert "touch made" in turn.heard.of("warning")[0].message
    assert turn.heard.outputs()["call_1"][1] is False
    assert turn.heard.items("message")[0]["content"] == "a pity"
    assert not (codex.root / "made").exists()


async def test_the_users_own_configuration_counts_where_the_run_says_nothing(codex: CodexStage) -> None:
    (codex.home / "codex" / "config.toml").write_text('sandbox_mode = "read-only"\n')
    turn = await codex.run(answer(shell("call_1", "touch made")), answer(message("msg_a", "done")))
    assert turn.heard.outputs()["call_1"][1] is False
    assert not (codex.root / "made").exists()


async def test_settings_reach_the_model(codex: CodexStage) -> None:
    turn = await codex.run(answer(message("msg_a", "done")), settings={"reasoning": "low"})
    assert turn.session.requests[0].body["reasoning"]["effort"] == "low"


async def test_a_model_that_codex_does_not_know_is_a_warning(codex: CodexStage) -> None:
    turn = await codex.run(answer(message("msg_a", "done")), settings={"model": "gpt-5-mini"})
    assert turn.heard.warnings() == ["agent_warning"]
    assert turn.session.requests[0].body["model"] == "gpt-5-mini"
    assert turn.ended.error is None


async def test_a_configuration_that_cannot_be_read_is_an_error_that_no_retry_mends(codex: CodexStage) -> None:
    (codex.home / "codex" / "config.toml").write_text("this is no toml")
    turn = await codex.run(answer(message("msg_a", "done")))
    assert turn.ended.error is not None
    assert (turn.ended.error.code, turn.ended.error.retryable) == ("agent_unavailable", False)
    assert "config.toml" in turn.ended.error.message


async def test_a_session_is_kept_in_the_users_codex_home(codex: CodexStage) -> None:
    turn = await codex.run(answer(message("msg_a", "done")))
    kept = list(Path(codex.home / "codex" / "sessions").rglob(f"*{turn.ended.carry['codex_thread']}.jsonl"))
    assert len(kept) == 1

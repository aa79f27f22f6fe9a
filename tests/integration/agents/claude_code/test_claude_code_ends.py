"""A turn of the real Claude Code that is ended early, and what is left of it: nothing."""

import asyncio
from pathlib import Path

from cody.agents.sweep import sweep
from tests.integration.agents.agents_stage import alive, pid_in
from tests.integration.agents.claude_code.claude_stage import ClaudeStage, answer, begin, calls, text, tool
from tests.integration.agents.driven_stage import HOLD, Turn
from tests.parts import until

STUBBORN = (
    "setsid sh -c 'trap \"\" TERM INT HUP; echo $$ > stubborn.tmp; mv stubborn.tmp stubborn; while :; do sleep 1; done'"
)
"""A child in a session of its own that no polite signal ends."""


async def nothing_left(claude: ClaudeStage) -> bool:
    """Whether no process carries the run's marks any more."""
    quiet = await sweep(claude.run_id, grace_seconds=0.0)
    return not quiet.reaped and not quiet.survivors


async def ended_at(claude: ClaudeStage, turn: Turn, moment: "asyncio.Future[object]", **changes: object) -> None:
    """Let the turn run, and stop it at that moment."""
    async with asyncio.TaskGroup() as group:
        group.create_task(claude.take(turn, **changes))
        await moment
        turn.stop.request()


async def test_a_turn_that_is_stopped_amid_text_cancels_the_item_and_is_quiet(claude: ClaudeStage) -> None:
    turn = claude.play({"chunks": [begin("msg_1", fresh=10), *text(0, "Hel", "lo")[:2], HOLD]})
    await ended_at(claude, turn, asyncio.ensure_future(until(lambda: turn.heard.of("item_delta"))))

    assert turn.ended.stopped
    assert turn.ended.error is None
    assert [each.item_id for each in turn.heard.of("item_cancelled")] == ["msg_1_0"]
    assert turn.heard.open_items() == set()
    assert turn.heard.items() == []
    assert turn.ended.quiet.signals == ()  # its own interrupt was enough
    assert not turn.ended.quiet.survivors
    assert turn.session.requests[0].hung_up
    assert await nothing_left(claude)


async def test_a_session_that_was_interrupted_can_go_on(claude: ClaudeStage) -> None:
    turn = claude.play({"chunks": [begin("msg_1"), *text(0, "Hel", "lo")[:2], HOLD]})
    await ended_at(claude, turn, asyncio.ensure_future(until(lambda: turn.heard.of("item_delta"))))
    again = await claude.run(answer("msg_2", text(0, "Again.")), attempt=2, carry=turn.ended.carry)

    assert again.heard.contents() == ["Again."]
    assert again.heard.warnings() == []


async def test_a_turn_that_is_stopped_amid_a_command_leaves_none_of_its_processes(claude: ClaudeStage) -> None:
    command = f"{STUBBORN} & echo $$ > shell.tmp; mv shell.tmp shell; sleep 1000"
    turn = claude.play(calls("msg_1", tool(0, "toolu_1", "Bash", {"command": command})))
    stubborn, shell = claude.root / "stubborn", claude.root / "shell"
    await ended_at(claude, turn, asyncio.ensure_future(until(lambda: pid_in(stubborn) and pid_in(shell))))

    assert turn.ended.stopped
    assert not turn.ended.quiet.survivors
    assert not alive(pid_in(stubborn))
    assert not alive(pid_in(shell))
    assert turn.heard.open_items() == set()
    answers = [item for item in turn.heard.items() if item["type"] == "function_call_output"]
    outputs = [(item["call_id"], item["output"], item["success"]) for item in answers]
    assert outputs == [("toolu_1", "interrupted", False)]
    assert await nothing_left(claude)


async def test_a_child_that_a_finished_turn_leaves_behind_ends_with_it(claude: ClaudeStage) -> None:
    turn = await claude.run(
        calls("msg_1", tool(0, "toolu_1", "Bash", {"command": f"{STUBBORN} > /dev/null 2>&1 & sleep 1"})),
        answer("msg_2", text(0, "Done.")),
        kill_grace_seconds=1.0,
    )

    left = pid_in(claude.root / "stubborn")
    assert turn.ended.error is None
    assert left
    assert not alive(left)
    assert await nothing_left(claude)


async def test_a_turn_that_is_stopped_before_the_provider_answers_is_quiet(claude: ClaudeStage) -> None:
    turn = claude.play({"fault": {"kind": "stall", "before_head": True}})
    await ended_at(claude, turn, asyncio.ensure_future(until(lambda: turn.session.requests)))

    assert turn.ended.stopped
    assert turn.heard.items() == []
    assert await nothing_left(claude)


async def test_a_turn_that_is_stopped_while_it_starts_is_quiet(claude: ClaudeStage) -> None:
    turn = claude.play()
    started: Path = claude.home / ".claude"
    await ended_at(claude, turn, asyncio.ensure_future(until(lambda: started.exists() or turn.result)))

    assert turn.ended.stopped
    assert await nothing_left(claude)


async def test_claude_code_that_dies_fails_the_attempt_and_the_next_one_goes_on(claude: ClaudeStage) -> None:
    # It writes its session a moment after it speaks, and what was not written cannot be gone on with.
    written = "until grep -qrs 'I end mysel[f]' ~/.claude/projects; do sleep 0.05; done"
    turn = await claude.run(
        calls(
            "msg_1", text(0, "I end myself."), tool(1, "toolu_1", "Bash", {"command": f"{written}; kill -KILL $PPID"})
        ),
        answer("msg_2", text(0, "Never said.")),
    )

    assert turn.ended.error is not None
    assert (turn.ended.error.code, turn.ended.error.retryable) == ("agent_exit", True)
    assert turn.heard.open_items() == set()
    assert await nothing_left(claude)

    again = await claude.run(answer("msg_3", text(0, "Again.")), attempt=2, carry=turn.heard.remembered)
    assert again.heard.contents() == ["Again."]
    assert again.heard.warnings() == []
    assert "I end myself." in str(again.session.requests[0].body["messages"])

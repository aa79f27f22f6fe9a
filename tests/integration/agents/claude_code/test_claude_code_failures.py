"""What the real Claude Code makes of a provider that fails, and what Cody says of it."""

import subprocess
import sys

import pytest

from cody.agents.base import Patience
from cody.agents.connections import Connection
from cody.agents.drivers.speech import Line, Order
from cody.cli.dev.ports import free_port
from tests.integration.agents.claude_code.claude_stage import (
    ClaudeStage,
    answer,
    begin,
    calls,
    end,
    refusal,
    text,
    thinking,
    tool,
)
from tests.integration.agents.driven_stage import HOLD, event

OVERLOADED = event("error", error={"type": "overloaded_error", "message": "Overloaded"})


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (400, "invalid_request_error", False),
        (401, "authentication_error", False),
        (404, "not_found_error", False),
        (429, "rate_limit_error", True),
        (500, "api_error", True),
        (529, "overloaded_error", True),
    ],
)
async def test_a_refused_request_is_an_error_with_the_providers_code(
    claude: ClaudeStage, status: int, code: str, retryable: bool
) -> None:
    turn = await claude.run(refusal(status, code, "these are the provider's words"))

    assert turn.ended.error is not None
    assert (turn.ended.error.code, turn.ended.error.retryable) == (code, retryable)
    assert turn.ended.error.details == {"status": status}
    assert turn.heard.items() == []
    assert turn.ended.usage is None
    # An unknown model is asked for again without a stream; nothing else is sent twice.
    assert len(turn.session.requests) == (2 if status == 404 else 1)


async def test_a_model_that_may_write_no_more_has_ended_its_turn_by_length(claude: ClaudeStage) -> None:
    step = answer("msg_1", text(0, "So far"), reason="max_tokens")
    turn = await claude.run({**step, "times": None})

    assert turn.ended.error is None
    assert turn.ended.finish_reason == "length"
    assert set(turn.heard.contents()) == {"So far"}
    assert turn.heard.open_items() == set()


async def test_an_error_in_the_middle_of_an_answer_is_that_of_the_item_under_way(claude: ClaudeStage) -> None:
    turn = await claude.run_past_hold({"chunks": [begin("msg_1"), *text(0, "Hel", "lo")[:2], HOLD, OVERLOADED]})

    assert turn.ended.error is not None
    assert (turn.ended.error.code, turn.ended.error.retryable) == ("overloaded_error", True)
    assert [(each.item_id, each.error) for each in turn.heard.of("item_error")] == [("msg_1_0", turn.ended.error)]
    assert turn.heard.open_items() == set()


@pytest.mark.parametrize("kind", ["reset", "close"])
async def test_an_answer_that_is_cut_fails_the_attempt(claude: ClaudeStage, kind: str) -> None:
    chunks = [begin("msg_1"), *text(0, "Hel", "lo")[:2], HOLD]
    turn = await claude.run_past_hold({"chunks": chunks, "fault": {"kind": kind}})

    assert turn.ended.error is not None
    assert (turn.ended.error.code, turn.ended.error.retryable) == ("provider_stream_cut", True)
    assert [(each.item_id, each.error) for each in turn.heard.of("item_error")] == [("msg_1_0", turn.ended.error)]
    assert turn.heard.open_items() == set()
    assert turn.heard.items() == []


async def test_an_answer_that_is_cut_after_a_finished_block_goes_on(claude: ClaudeStage) -> None:
    cut = [begin("msg_1", fresh=10), *thinking(0, "Hm."), *text(1, "Hel", "lo")[:2], HOLD]
    turn = await claude.run_past_hold(
        {"chunks": cut, "fault": {"kind": "reset"}},
        answer("msg_2", text(0, "Hello."), fresh=20, output=7),
        item_id="msg_1_1",
    )

    assert turn.ended.error is None
    assert [(item["id"], item["content"]) for item in turn.heard.items()] == [("msg_1_0", "Hm."), ("msg_2_0", "Hello.")]
    assert [each.item_id for each in turn.heard.of("item_cancelled")] == ["msg_1_1"]
    assert turn.heard.warnings() == ["provider_stream_cut"]
    assert turn.ended.usage is not None
    assert turn.ended.usage.completion_tokens >= 7
    assert turn.ended.usage.prompt_tokens >= 20


async def test_an_attempt_after_a_cut_goes_on_with_the_session(claude: ClaudeStage) -> None:
    cut = {"chunks": [begin("msg_2"), *text(0, "Hel")[:2]], "fault": {"kind": "reset"}}
    first = await claude.run(calls("msg_1", tool(0, "toolu_1", "Bash", {"command": "echo once >> ran.txt"})), cut)
    second = await claude.run(answer("msg_3", text(0, "Hello."), fresh=30), attempt=2, carry=first.ended.carry)

    assert first.ended.error is not None
    assert second.heard.contents() == ["Hello."]
    assert "toolu_1" in str(second.session.requests[0].body["messages"])
    assert (claude.root / "ran.txt").read_text() == "once\n"
    assert second.ended.usage is not None
    assert second.ended.usage.prompt_tokens == 30


async def test_broken_data_fails_the_attempt(claude: ClaudeStage) -> None:
    broken = "event: content_block_delta\ndata: {broken\n\n"
    turn = await claude.run({"chunks": [begin("msg_1"), *text(0, "Hel")[:2], broken, *end()]})

    assert turn.ended.error is not None
    assert (turn.ended.error.code, turn.ended.error.retryable) == ("provider_malformed", True)
    assert turn.heard.open_items() == set()


async def test_a_provider_that_is_not_there_is_unreachable(claude: ClaudeStage) -> None:
    turn = claude.play()
    await claude.take(turn, connection=Connection(f"http://127.0.0.1:{free_port()}", "key"))

    assert turn.ended.error is not None
    assert (turn.ended.error.code, turn.ended.error.retryable) == ("provider_unreachable", True)


async def test_a_provider_that_never_answers_is_timed_out(claude: ClaudeStage) -> None:
    step = {"fault": {"kind": "stall", "before_head": True}}
    turn = await claude.run(step, patience=Patience(answer_seconds=1.5, silence_seconds=60))

    assert turn.ended.error is not None
    assert (turn.ended.error.code, turn.ended.error.retryable) == ("provider_timeout", True)
    assert "1.5 s" in turn.ended.error.message
    assert not turn.ended.quiet.survivors


async def test_a_provider_that_stops_in_the_middle_is_timed_out(claude: ClaudeStage) -> None:
    step = {"chunks": [begin("msg_1"), *text(0, "Hel")[:2]], "fault": {"kind": "stall"}}
    turn = await claude.run(step, patience=Patience(answer_seconds=60, silence_seconds=3))

    assert turn.ended.error is not None
    assert turn.ended.error.code == "provider_timeout"
    assert [each.item_id for each in turn.heard.of("item_error")] == ["msg_1_0"]
    assert turn.heard.open_items() == set()
    assert turn.ended.carry["claude_session"] == turn.heard.remembered["claude_session"]


async def test_a_tool_may_be_silent_for_longer_than_a_provider(claude: ClaudeStage) -> None:
    turn = await claude.run(
        calls("msg_1", tool(0, "toolu_1", "Bash", {"command": "sleep 6"})),
        answer("msg_2", text(0, "Done.")),
        patience=Patience(answer_seconds=5, silence_seconds=5),
    )
    assert turn.ended.error is None
    assert turn.heard.contents() == ["Done."]


def test_without_the_sdk_the_agent_is_unavailable() -> None:
    program = (
        "import sys; sys.modules['claude_agent_sdk'] = None\n"
        "from cody.agents.drivers import program\n"
        "from cody.agents.drivers.claude_code import driver\n"
        "program.run(driver.turn)\n"
    )
    order = Order(
        agent={"kind": "claude-code"}, prompt="hello", attempt=1, response_id="resp_1",
        answer_seconds=60, silence_seconds=60, max_output_bytes=2048, max_output_events_per_second=10,
    )  # fmt: skip
    driver = [sys.executable, "-I", "-c", program]
    done = subprocess.run(driver, input=order.model_dump_json().encode() + b"\n", capture_output=True, timeout=60)

    end = Line.model_validate_json(done.stdout.splitlines()[-1]).end
    assert done.returncode == 0, done.stderr
    assert end is not None
    assert end.error is not None
    assert (end.error.code, end.error.retryable) == ("agent_unavailable", False)
    assert "pip install 'cody[claude-code]'" in end.error.message

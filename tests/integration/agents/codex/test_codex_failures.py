import pytest

from cody.agents.base import Patience
from cody.agents.connections import Connection
from tests.integration.agents.codex.codex_stage import (
    CodexStage,
    answer,
    begin,
    message,
    part_of_message,
    refusal,
    shell,
    torn,
)
from tests.integration.agents.driven_stage import KEY, event


@pytest.mark.parametrize(
    ("step", "code", "retryable"),
    [
        (refusal(429, "rate_limit_exceeded", type_="requests"), "rate_limit_exceeded", True),
        (refusal(429, "insufficient_quota", type_="insufficient_quota"), "insufficient_quota", False),
        (refusal(500, None, type_="server_error"), "server_error", True),
        (refusal(503, None, type_="server_error"), "server_is_overloaded", True),
        (refusal(400, None), "invalid_request_error", False),
        (refusal(400, "context_length_exceeded"), "context_length_exceeded", False),
        (refusal(401, "invalid_api_key"), "invalid_api_key", False),
        (refusal(403, "unsupported_country_region_territory"), "http_403", False),
        (refusal(404, "model_not_found"), "model_not_found", False),
    ],
)
async def test_a_refusal_has_the_providers_code_and_says_whether_to_retry(
    codex: CodexStage, step: object, code: str, retryable: bool
) -> None:
    turn = await codex.run(step)
    assert turn.ended.error is not None
    assert (turn.ended.error.code, turn.ended.error.retryable) == (code, retryable)
    assert turn.heard.items("message") == []
    assert turn.heard.open_items() == set()
    assert len(turn.session.requests) <= 2


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        ({"code": "server_error", "message": "we broke"}, "server_error", True),
        ({"code": "rate_limit_exceeded", "message": "slow down, try again in 0.1s"}, "rate_limit_exceeded", True),
        ({"code": "server_is_overloaded", "message": "too many"}, "server_is_overloaded", True),
        ({"code": "context_length_exceeded", "message": "too long"}, "context_length_exceeded", False),
    ],
)
async def test_a_response_that_fails_in_its_middle_fails_its_items(
    codex: CodexStage, error: dict[str, str], code: str, retryable: bool
) -> None:
    failed = event("response.failed", response={"id": "resp_1", "status": "failed", "error": error})
    step = {"chunks": [begin(), *part_of_message("msg_a", "Hel"), failed], "times": None}
    turn = await codex.run(step)
    assert turn.ended.error is not None
    assert (turn.ended.error.code, turn.ended.error.retryable) == (code, retryable)
    assert turn.heard.of("item_error")[-1].error.code == code
    assert turn.heard.open_items() == set()


async def test_a_stream_that_is_cut_once_is_taken_up_again_and_counted(codex: CodexStage) -> None:
    turn = await codex.run(torn(part_of_message("msg_a", "Hel")), answer(message("msg_b", "Hello"), prompt=70))

    assert turn.ended.error is None
    assert turn.heard.warnings() == ["provider_retry"]
    assert [each.item_id for each in turn.heard.of("item_cancelled")] == ["msg_a"]
    assert [item["id"] for item in turn.heard.items("message")] == ["msg_b"]
    assert turn.ended.usage is not None
    assert turn.ended.usage.prompt_tokens == 70


async def test_the_same_item_after_a_cut_gets_an_id_of_its_own(codex: CodexStage) -> None:
    turn = await codex.run(torn(part_of_message("msg_a", "Hel")), answer(message("msg_a", "Hello")))
    assert [item["id"] for item in turn.heard.items("message")] == ["msg_a_2"]


async def test_a_stream_that_is_always_cut_is_worth_another_attempt(codex: CodexStage) -> None:
    turn = await codex.run({**torn(part_of_message("msg_a", "Hel")), "times": None})
    assert turn.ended.error is not None
    assert (turn.ended.error.code, turn.ended.error.retryable) == ("provider_stream_cut", True)


async def test_what_was_cut_off_after_a_command_does_not_run_it_again(codex: CodexStage) -> None:
    turn = await codex.run(
        torn(shell("call_1", "echo once >> ran")),
        answer(message("msg_a", "done"), expect={"input": [{"type": "function_call_output", "call_id": "call_1"}]}),
    )
    turn.session.check()
    assert (codex.root / "ran").read_text() == "once\n"
    assert turn.heard.outputs() == {"call_1": ("", True)}


async def test_a_response_that_is_cut_short_by_its_length_says_so(codex: CodexStage) -> None:
    details = {"id": "resp_1", "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    turn = await codex.run(
        {"chunks": [begin(), *message("msg_a", "Hel"), event("response.incomplete", response=details)]}
    )
    assert turn.ended.error is None
    assert turn.ended.finish_reason == "length"
    assert turn.heard.items("message")[0]["content"] == "Hel"


@pytest.mark.parametrize("before_head", [True, False])
async def test_a_provider_that_never_answers_is_given_up(codex: CodexStage, before_head: bool) -> None:
    turn = await codex.run(torn(kind="stall", before_head=before_head), patience=Patience(answer_seconds=0.7))
    assert turn.ended.error is not None
    assert (turn.ended.error.code, turn.ended.error.retryable) == ("provider_timeout", True)


async def test_a_provider_that_falls_silent_is_given_up_with_its_item(codex: CodexStage) -> None:
    turn = await codex.run(torn(part_of_message("msg_a", "Hel"), kind="stall"), patience=Patience(silence_seconds=3.0))
    assert turn.ended.error is not None
    assert turn.ended.error.code == "provider_timeout"
    assert [each.error.code for each in turn.heard.of("item_error")] == ["provider_timeout"]


async def test_a_command_may_be_silent_for_longer_than_a_provider(codex: CodexStage) -> None:
    turn = await codex.run(
        answer(shell("call_1", "sleep 6")),
        answer(message("msg_a", "done")),
        patience=Patience(answer_seconds=5.0, silence_seconds=5.0),
    )
    assert turn.ended.error is None


async def test_a_provider_that_is_not_there_is_given_up(codex: CodexStage) -> None:
    turn = await codex.run(
        answer(), connection=Connection("http://127.0.0.1:1/v1", KEY), patience=Patience(answer_seconds=1.0)
    )
    assert turn.ended.error is not None
    assert (turn.ended.error.code, turn.ended.error.retryable) == ("provider_unreachable", True)
    assert "provider_retry" in turn.heard.warnings()


@pytest.mark.parametrize("broken", [2, 4], ids=["a delta", "the end of the item"])
async def test_what_cannot_be_read_of_a_stream_is_a_warning(codex: CodexStage, broken: int) -> None:
    step = answer(message("msg_a", "Hel", "lo"))
    step["chunks"][broken] = step["chunks"][broken].replace("{", "{{", 1)
    turn = await codex.run(step)

    assert turn.ended.error is None
    assert turn.heard.warnings() == ["provider_malformed"]
    assert [item["content"] for item in turn.heard.items("message")] == ["Hello"]


async def test_an_event_that_cannot_be_read_is_a_warning_also_where_no_text_is_lost(codex: CodexStage) -> None:
    step = answer(message("msg_a", "Hel", "lo"))
    step["chunks"].insert(3, step["chunks"][3].replace("{", "{{", 1))
    turn = await codex.run(step)
    assert turn.ended.error is None
    assert turn.heard.warnings() == ["provider_malformed"]
    assert [item["content"] for item in turn.heard.items("message")] == ["Hello"]


async def test_a_delta_before_its_item_is_a_warning(codex: CodexStage) -> None:
    step = answer(message("msg_a", "Hel", "lo"))
    step["chunks"][1], step["chunks"][2] = step["chunks"][2], step["chunks"][1]
    turn = await codex.run(step)
    assert turn.heard.warnings() == ["provider_malformed"]
    assert [item["content"] for item in turn.heard.items("message")] == ["Hello"]

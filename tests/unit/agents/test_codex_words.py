"""What Codex is told, and how its words for faults and answers are understood."""

from pathlib import Path
from typing import Any

import pytest

from cody.agents.drivers.codex.errors import failure, finish_reason, unreachable
from cody.agents.drivers.codex.outputs import answer_of
from cody.agents.drivers.codex.settings import thread_params, turn_params
from cody.agents.drivers.codex.transcript import Call, Output, Transcript
from cody.agents.drivers.speech import Order

CUT = "stream disconnected before completion"
RAN = "Chunk ID: a1\nWall time: 0.1 seconds\nProcess {}\nOriginal token count: 1\nOutput:\n"
PATCHED = "Exit code: {}\nWall time: 0 seconds\nOutput:\n"


def order(base_url: str | None = None, api_key: str | None = None, **settings: Any) -> Order:
    return Order(
        agent={"kind": "codex", **settings},
        prompt="hello",
        attempt=1,
        response_id="resp_1",
        base_url=base_url,
        api_key=api_key,
        answer_seconds=1.0,
        silence_seconds=1.0,
        max_output_bytes=2048,
        max_output_events_per_second=10,
    )


@pytest.mark.parametrize(
    ("info", "message", "code", "retryable"),
    [
        ({"responseTooManyFailedAttempts": {"httpStatusCode": 429}}, "exceeded", "rate_limit_exceeded", True),
        ({"httpConnectionFailed": {"httpStatusCode": 503}}, "unexpected status", "server_is_overloaded", True),
        ({"httpConnectionFailed": {"httpStatusCode": 529}}, "unexpected status", "http_529", True),
        ({"httpConnectionFailed": {"httpStatusCode": 401}}, "unexpected status", "invalid_api_key", False),
        ({"httpConnectionFailed": {"httpStatusCode": 418}}, "unexpected status", "http_418", False),
        ({"responseStreamDisconnected": {}}, "gone", "provider_stream_cut", True),
        ("internalServerError", "high demand", "server_error", True),
        ("usageLimitExceeded", "You've hit your limit", "insufficient_quota", False),
        ("contextWindowExceeded", "no room", "context_length_exceeded", False),
        ("cyberPolicy", "blocked", "cyber_policy", False),
        ("aWordOfTomorrow", "?", "a_word_of_tomorrow", False),
        ("other", f"{CUT}: stream closed before response.completed", "provider_stream_cut", True),
        ("other", f"{CUT}: the model is confused", "server_error", True),
        ("other", "Connection failed: error sending request", "provider_unreachable", True),
        ("other", "request timed out", "provider_timeout", True),
        ("other", "Invalid value for tools[0]", "invalid_request_error", False),
        (None, "Invalid value", "invalid_request_error", False),
        ("other", '{"error": {"message": "too long", "code": "string_too_long"}}', "string_too_long", False),
        ("other", 'got {"error": {"message": "no", "type": "server_error", "code": null}}, bye', "server_error", True),
        ("other", "what about {this}?", "invalid_request_error", False),
    ],
)  # fmt: skip
def test_a_fault_has_a_code_and_says_whether_to_retry(info: Any, message: str, code: str, retryable: bool) -> None:
    error = failure({"codexErrorInfo": info, "message": message})
    assert (error.code, error.retryable) == (code, retryable)


def test_an_answer_that_was_cut_short_is_no_fault() -> None:
    cut_short = "Incomplete response returned, reason: "
    assert finish_reason({"message": f"{cut_short}max_output_tokens"}) == "length"
    assert finish_reason({"message": f"{cut_short}content_filter"}) == "content_filter"
    assert finish_reason({"message": f"{CUT}: Incomplete"}) is None


def test_a_notice_says_whether_anybody_was_there() -> None:
    assert unreachable({"message": "Reconnecting...", "additionalDetails": "Connection failed: error sending request"})
    assert not unreachable({"message": "Reconnecting... 1/1", "additionalDetails": f"{CUT}: stream closed"})


@pytest.mark.parametrize(
    ("text", "told", "success"),
    [
        (RAN.format("exited with code 0") + "hi\n", "hi\n", True),
        (RAN.format("exited with code 3"), "", False),
        (RAN.format("running with session ID 7"), "", True),
        (PATCHED.format(0) + "Success.\n", "Success.\n", True),
        (PATCHED.format(1) + "Process exited with code 0\n", "Process exited with code 0\n", False),
        ("unsupported call: f", "unsupported call: f", False),
        ("exec_command failed: Rejected", "exec_command failed: Rejected", False),
        ("apply_patch verification failed: no", "apply_patch verification failed: no", False),
        ("Wall time: 1.2 seconds\naborted by user", "Wall time: 1.2 seconds\naborted by user", False),
        ("Plan updated", "Plan updated", True),
    ],
)  # fmt: skip
def test_an_answer_loses_its_wrapping(text: str, told: str, success: bool) -> None:
    answer = answer_of(text)
    assert (answer.text, answer.success) == (told, success)


def test_a_provider_of_ones_own_is_told_in_a_request_and_tried_again_once() -> None:
    params = thread_params(order("http://127.0.0.1:1/v1/", "sk-1", model="gpt-5"), {})
    config = params["config"]
    assert config["model_provider"] == "cody"
    provider = config["model_providers"]["cody"]
    assert provider["base_url"] == "http://127.0.0.1:1/v1"
    assert provider["experimental_bearer_token"] == "sk-1"
    assert (provider["request_max_retries"], provider["stream_max_retries"]) == (0, 1)
    assert params["model"] == "gpt-5"


def test_a_key_alone_is_for_openai_and_an_address_alone_needs_none() -> None:
    key = thread_params(order(api_key="sk-1"), {})["config"]["model_providers"]["cody"]
    assert key["base_url"] == "https://api.openai.com/v1"
    address = thread_params(order(base_url="http://127.0.0.1:1/v1"), {})["config"]["model_providers"]["cody"]
    assert "experimental_bearer_token" not in address


def test_without_either_codex_keeps_the_users_login() -> None:
    assert "config" not in thread_params(order(), {})


def test_the_sandbox_is_the_runs_else_the_users_else_none() -> None:
    assert thread_params(order(), {})["sandbox"] == "danger-full-access"
    assert "sandbox" not in thread_params(order(), {"sandbox_mode": "workspace-write"})
    assert thread_params(order(sandbox="read-only"), {"sandbox_mode": "workspace-write"})["sandbox"] == "read-only"
    assert thread_params(order(), {})["approvalPolicy"] == "never"


def test_a_summary_of_the_reasoning_is_asked_for_unless_the_user_says_how() -> None:
    assert turn_params(order(reasoning="high"), {}) == {"effort": "high", "summary": "auto"}
    assert turn_params(order(), {"model_reasoning_summary": "detailed"}) == {}


async def test_a_file_is_read_from_its_mark_and_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "rollout.jsonl"
    output = '{"type":"response_item","payload":{"type":"function_call_output","call_id":"%s","output":"o"}}\n'
    path.write_text(output % "before")
    transcript = Transcript(str(path))
    transcript.mark()
    item = '{"type":"function_call","id":"f","call_id":"c","name":"n","arguments":"{}"}'
    call = f'{{"type":"response_item","payload":{item}}}\n'
    with path.open("a") as file:
        file.write(call[:50])
        file.flush()
        transcript.read()
        assert list(transcript.pending) == []
        file.write(call[50:] + "torn {\n" + output % "c")
    assert await transcript.has("c")
    assert list(transcript.pending) == [Call("f", "c", "n", "{}"), Output("c", "o")]
    with path.open("a") as file:
        file.write('{"type":"event_msg","payload":{"type":"task_complete"}}\n')
    assert await transcript.ended()


async def test_without_a_file_nobody_waits_for_it() -> None:
    transcript = Transcript(None)
    transcript.mark()
    transcript.read()
    assert not await transcript.has("c")
    assert not await transcript.ended()

"""What a provider's failure is called, and whether trying again makes sense."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from cody.agents.model.failures import broke_off, failure_of, missing_key, refused


@pytest.mark.parametrize(
    ("status", "body", "code", "retryable"),
    [
        (400, {"type": "error", "error": {"type": "invalid_request_error"}}, "invalid_request_error", False),
        (401, {"error": {"type": "authentication_error", "message": "m"}}, "authentication_error", False),
        (403, {"error": {"type": "permission_error", "message": "m"}}, "permission_error", False),
        (404, {"error": {"code": "model_not_found", "type": "invalid_request_error"}}, "model_not_found", False),
        (408, None, "http_408", True),
        (409, {"error": {"type": "conflict", "message": "m"}}, "conflict", True),
        (413, {"error": {"type": "request_too_large", "message": "m"}}, "request_too_large", False),
        (422, "<html>", "http_422", False),
        (429, {"error": {"type": "rate_limit_error", "message": "m"}}, "rate_limit_error", True),
        (429, {"code": "rate_limit_exceeded", "type": "requests", "message": "m"}, "rate_limit_exceeded", True),
        (429, {"code": "insufficient_quota", "type": "insufficient_quota"}, "insufficient_quota", False),
        (500, {"error": {"type": "api_error", "message": "m"}}, "api_error", True),
        (502, "<html>Bad gateway</html>", "http_502", True),
        (503, {"error": "busy"}, "http_503", True),
        (529, {"error": {"type": "overloaded_error", "message": "m"}}, "overloaded_error", True),
    ],
)  # fmt: skip
def test_an_http_error_keeps_the_providers_code(status: int, body: object, code: str, retryable: bool) -> None:
    error = refused(status, body, {}).error
    assert (error.code, error.retryable) == (code, retryable)
    assert error.message
    assert error.details == {"status": status}


def test_when_to_come_again_is_told_in_seconds() -> None:
    assert refused(429, None, {"retry-after": "7"}).error.details == {"status": 429, "retry_after_seconds": 7.0}
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1))
    told = refused(503, None, {"retry-after": later}).error.details
    assert told is not None
    assert 3500 < told["retry_after_seconds"] <= 3600
    assert refused(503, None, {"retry-after": "soon"}).error.details == {"status": 503}


def test_an_error_in_the_middle_that_is_unknown_is_the_providers_own() -> None:
    error = broke_off({"code": "gremlins", "message": "m"}).error
    assert (error.code, error.message, error.retryable) == ("gremlins", "m", True)
    assert not broke_off({"code": "invalid_prompt", "message": "m"}).error.retryable


def test_a_missing_key_names_its_variable() -> None:
    error = missing_key("anthropic", "ANTHROPIC_API_KEY").error
    assert (error.code, error.retryable) == ("provider_key_missing", False)
    assert "ANTHROPIC_API_KEY" in error.message


def test_other_exceptions_are_none_of_the_providers() -> None:
    assert failure_of(RuntimeError("ours"), answering=True) is None

"""What a failed turn of Codex failed with: the provider's code, and whether it is worth another try.

Codex tells its own word for the fault (`codexErrorInfo`), often the HTTP status, and a sentence; the provider's code
is in none of them, unless the sentence is the provider's JSON. So it is the code that OpenAI's API gives in that case.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, cast

from cody.contract.errors import PROVIDER_CUT, PROVIDER_TIMEOUT, PROVIDER_UNREACHABLE, ErrorInfo

CUT: Final = "stream disconnected before completion"
UNREACHABLE: Final = "Connection failed"
SERVER_ERROR: Final = "server_error"
INVALID_REQUEST: Final = "invalid_request_error"

_WORDS: Final[Mapping[str, tuple[str, bool]]] = {
    "contextWindowExceeded": ("context_length_exceeded", False),
    "usageLimitExceeded": ("insufficient_quota", False),
    "rateLimitExceeded": ("rate_limit_exceeded", True),
    "serverOverloaded": ("server_is_overloaded", True),
    "flexUnavailable": ("flex_unavailable", True),
    "internalServerError": (SERVER_ERROR, True),
    "unauthorized": ("invalid_api_key", False),
    "badRequest": (INVALID_REQUEST, False),
}
"""Codex's words → the API's code, and whether to try again. Other words stand for themselves, and are final."""

_STATUS: Final[Mapping[int, str]] = {
    400: INVALID_REQUEST, 401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded",
    500: SERVER_ERROR, 503: "server_is_overloaded",
}  # fmt: skip
_RETRYABLE_STATUS: Final = frozenset({408, 409, 429})
_RETRYABLE_CODES: Final = frozenset(code for code, retryable in _WORDS.values() if retryable)
_OUR_STREAM: Final = re.compile(
    r"stream closed|transport|decoding|connection|reset|timeout|idle|incomplete", re.IGNORECASE
)
_INCOMPLETE: Final = re.compile(r"Incomplete response returned, reason: (\w+)")
_FINISH: Final[Mapping[str, str]] = {"max_output_tokens": "length", "content_filter": "content_filter"}
_HUMP: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")


def finish_reason(error: Mapping[str, Any]) -> str | None:
    """Why the model stopped short, if that is all that happened: the turn is done then, as with any other agent."""
    found = _INCOMPLETE.match(str(error.get("message", "")))
    return _FINISH.get(found[1], found[1]) if found else None


def failure(error: Mapping[str, Any]) -> ErrorInfo:
    """The error in a `turn/completed` or an `error` of Codex's (its `TurnError`)."""
    word, status = _info(error.get("codexErrorInfo"))
    message = str(error.get("message") or "the turn failed")
    told = _told(message)
    code, retryable = _judged(word, status, message)
    if told is not None:
        code, message = told
        retryable = retryable or code in _RETRYABLE_CODES
    details = {"codex_error": word, "http_status": status, "more": error.get("additionalDetails")}
    return ErrorInfo(
        code=code,
        message=message,
        retryable=retryable,
        details={name: value for name, value in details.items() if value is not None} or None,
    )


def unreachable(notice: Mapping[str, Any]) -> bool:
    """Whether a notice that something is tried again says that the provider was not there at all."""
    return str(notice.get("additionalDetails") or notice.get("message") or "").startswith(UNREACHABLE)


def _judged(word: str | None, status: int | None, message: str) -> tuple[str, bool]:
    if status is not None:
        return _STATUS.get(status, f"http_{status}"), status in _RETRYABLE_STATUS or status >= 500
    if word in _WORDS:
        return _WORDS[word]
    if message.startswith(CUT):
        # Behind the colon stands what broke the stream: the transport, or the provider's own last words.
        reason = message.removeprefix(CUT).lstrip(": ")
        return (PROVIDER_CUT if not reason or _OUR_STREAM.search(reason) else SERVER_ERROR), True
    if message.startswith(UNREACHABLE):
        return PROVIDER_UNREACHABLE, True
    if "timed out" in message or "timeout" in message:
        return PROVIDER_TIMEOUT, True
    if word is None or word == "other":
        return INVALID_REQUEST, False
    if word.startswith(("responseStream", "httpConnection", "responseTooMany")):
        return PROVIDER_CUT, True
    return _HUMP.sub(r"_\1", word).lower(), False


def _info(info: object) -> tuple[str | None, int | None]:
    """Codex's word and the HTTP status: `"other"`, or `{"httpConnectionFailed": {"httpStatusCode": 503}}`."""
    if isinstance(info, str):
        return info, None
    if isinstance(info, dict):
        for word, more in cast("dict[str, Any]", info).items():
            status = cast("dict[str, Any]", more).get("httpStatusCode") if isinstance(more, dict) else None
            return word, status if isinstance(status, int) else None
    return None, None


def _told(message: str) -> tuple[str, str] | None:
    """The provider's own code and message, where Codex passes its JSON on."""
    try:
        body: object = json.JSONDecoder().raw_decode(message, message.index("{"))[0]
    except ValueError:
        return None
    found: object = cast("dict[str, Any]", body).get("error", body) if isinstance(body, dict) else None
    if not isinstance(found, dict):
        return None
    error = cast("dict[str, Any]", found)
    code = error.get("code") or error.get("type")
    return (str(code), str(error.get("message") or message)) if code else None

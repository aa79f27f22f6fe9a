"""Why a turn of Claude Code failed, as the contract's error.

Its result says so in `is_error`; `subtype` is `success` also for a request that the API refused. The API's own error is
beside it in `api_error_type` and `api_error_status`; where those are missing the kind that its last message was given
(`error`) has to do.
"""

from collections.abc import Mapping
from typing import Any, Final

from cody.agents.model.failures import broke_off, cut, malformed, refused, unreachable
from cody.contract.errors import STREAM_SEQUENCE, ErrorInfo

CODES: Final[Mapping[int, str]] = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 500: "api_error", 504: "timeout_error",
    529: "overloaded_error",
}  # fmt: skip
"""What the API's statuses mean (Anthropic's API reference, "Errors")."""

KINDS: Final[Mapping[str, str]] = {
    "authentication_failed": "authentication_error", "billing_error": "billing_error", "rate_limit": "rate_limit_error",
    "invalid_request": "invalid_request_error", "model_not_found": "not_found_error",
}  # fmt: skip
"""Claude Code's own kinds of API errors, by the code of the API that they stand for."""

FINAL_SUBTYPES: Final = frozenset({"error_max_turns", "error_max_budget_usd", "error_max_structured_output_retries"})
"""Limits that the user's settings set: the same turn meets them again."""


def failure(result: Mapping[str, Any], kind: str | None, *, answering: bool) -> ErrorInfo:
    """The error in a result.

    `kind`: the `error` of the last message, if it had one. `answering`: the last request's answer had begun.
    """
    subtype = str(result.get("subtype"))
    message = _message(result) or f"Claude Code failed with {subtype}"
    status, type_ = result.get("api_error_status"), result.get("api_error_type")
    if isinstance(status, int):
        body = {"type": type_ or CODES.get(status), "message": message}
        return refused(status, body, {}).error
    if type_:
        return broke_off({"type": type_, "message": message}).error
    if result.get("api_error") == "connection_failed" or _is_connection(message):
        lost = answering or "was lost" in message
        return (cut(message) if lost else unreachable(message)).error
    if "Content block" in message:
        return ErrorInfo(code=STREAM_SEQUENCE, message=message, retryable=True)
    if "JSON" in message and subtype == "success":
        return malformed(message).error
    if subtype != "success":
        return ErrorInfo(code=subtype, message=message, retryable=subtype not in FINAL_SUBTYPES)
    return broke_off({"type": KINDS.get(kind or "", "api_error"), "message": message}).error


def _message(result: Mapping[str, Any]) -> str:
    said = result.get("result")
    if said:
        return str(said)
    errors = result.get("errors")
    return "; ".join(map(str, errors)) if isinstance(errors, list) else ""  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _is_connection(message: str) -> bool:
    """For versions that say it only in words."""
    return any(word in message for word in ("ECONNRESET", "ECONNREFUSED", "ConnectionRefused", "Connection error"))

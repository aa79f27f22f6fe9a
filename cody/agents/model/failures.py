"""What went wrong with a provider, as the contract's errors: the same codes and the same rules for every provider.

A provider's own code passes through unchanged. What has none of its own is one of `PROVIDER_*`, or `http_<status>` for
an answer whose body names no error. `retryable` says whether the same request may well succeed a little later.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast

from cody.agents.model.protocol import ProviderFailed
from cody.contract.errors import (
    PROVIDER_CUT,
    PROVIDER_KEY_MISSING,
    PROVIDER_MALFORMED,
    PROVIDER_TIMEOUT,
    PROVIDER_UNREACHABLE,
    ErrorInfo,
)

RETRYABLE_STATUS: Final = frozenset({408, 409, 425, 429})
"""Besides 5xx: what a client is told that did nothing wrong but came at the wrong moment."""

FINAL_CODES: Final = frozenset(
    {
        "authentication_error", "billing_error", "permission_error", "not_found_error", "request_too_large",
        "insufficient_quota", "context_length_exceeded", "model_not_found", "content_policy_violation",
        "bio_policy", "image_content_policy_violation", "unsupported_image_media_type", "empty_image_file",
    }
)  # fmt: skip
"""Codes that a repetition meets again, whatever status they come with; those that begin with `invalid_` too."""


def missing_key(kind: str, variable: str) -> ProviderFailed:
    """There is neither a key nor an address of the run's or the service's own."""
    return _failed(PROVIDER_KEY_MISSING, f"an agent of kind {kind} needs {variable}", retryable=False)


def refused(status: int, body: object, headers: Mapping[str, str]) -> ProviderFailed:
    """The provider answered with an HTTP error. `body` is the parsed JSON (or its `error` alone), or text, or None."""
    code, message = _named(body)
    retryable = (status in RETRYABLE_STATUS or status >= 500) and not _is_final(code)
    details: dict[str, Any] = {"status": status}
    if (seconds := _retry_after(headers)) is not None:
        details["retry_after_seconds"] = seconds
    if request_id := headers.get("request-id") or headers.get("x-request-id"):
        details["request_id"] = request_id
    error = ErrorInfo(
        code=code or f"http_{status}",
        message=message or f"the provider answered with HTTP status {status}",
        retryable=retryable,
        details=details,
    )
    return ProviderFailed(error)


def broke_off(error: object) -> ProviderFailed:
    """The provider said in the middle of its answer that it failed. `error` is its error object, or what holds one.

    It had accepted the request: unless it names a fault of the request, the trouble is its own and may pass.
    """
    code, message = _named(error)
    if code is None:
        return malformed(f"an error without a code: {_excerpt(error)}")
    return _failed(code, message or f"the provider broke off with {code}", retryable=not _is_final(code))


def cut(message: str) -> ProviderFailed:
    """The answer ended before its end."""
    return _failed(PROVIDER_CUT, message, retryable=True)


def malformed(message: str) -> ProviderFailed:
    """The provider sent what its API does not allow."""
    return _failed(PROVIDER_MALFORMED, message, retryable=True)


def late(message: str) -> ProviderFailed:
    """The provider was silent for too long."""
    return _failed(PROVIDER_TIMEOUT, message, retryable=True)


def unreachable(message: str, *, retryable: bool = True) -> ProviderFailed:
    """No connection came about, or it ended before there was any answer."""
    return _failed(PROVIDER_UNREACHABLE, message, retryable=retryable)


def failure_of(error: Exception, *, answering: bool) -> ProviderFailed | None:
    """What an exception of a provider's SDK, or of the HTTP client below it, means; None if it is none of those.

    `answering`: the head of the answer was there. The SDKs of OpenAI and Anthropic name their exceptions alike and
    share an HTTP client, but no class; both are told apart by what they carry.
    """
    import httpx2  # the SDKs' own; with them it is imported late

    response = getattr(error, "response", None)
    if isinstance(response, httpx2.Response):
        return refused(response.status_code, getattr(error, "body", None), response.headers)
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, httpx2.TransportError):
        cause = cause.__cause__
    if isinstance(cause, httpx2.TimeoutException) and not isinstance(cause, httpx2.ConnectTimeout):
        return late(f"the provider was silent for too long ({type(cause).__name__})")
    if isinstance(cause, httpx2.TransportError):
        said = f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__
        if answering:
            return cut(f"the answer was cut: {said}")
        is_address_wrong = isinstance(cause, httpx2.UnsupportedProtocol)
        return unreachable(f"no answer: {said}", retryable=not is_address_wrong)
    if isinstance(error, ValueError):
        return malformed(f"{type(error).__name__}: {error}")
    return None


def _failed(code: str, message: str, *, retryable: bool) -> ProviderFailed:
    return ProviderFailed(ErrorInfo(code=code, message=message, retryable=retryable))


def _is_final(code: str | None) -> bool:
    return code is not None and (code in FINAL_CODES or code.startswith("invalid_"))


def _named(body: object) -> tuple[str | None, str | None]:
    """Code and message of an error object, or of a body with one in `error`; its `type` where it has no `code`."""
    if not isinstance(body, Mapping):
        return None, _excerpt(body) if body else None
    fields = cast("Mapping[str, object]", body)
    if isinstance(inner := fields.get("error"), Mapping):
        fields = cast("Mapping[str, object]", inner)
    elif isinstance(inner, str):
        return None, inner
    code, message = fields.get("code") or fields.get("type"), fields.get("message")
    return str(code) if code else None, str(message) if message else None


def _excerpt(value: object) -> str:
    return str(value).strip()[:500]


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in seconds, whether it is a number or a date (RFC 9110, section 10.2.3)."""
    said = headers.get("retry-after")
    if said is None:
        return None
    try:
        return max(float(said), 0.0)
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(said)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max((at - datetime.now(UTC)).total_seconds(), 0.0)

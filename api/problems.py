"""Every error answer, made in one place: `application/problem+json` with Cody's code."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi import ResponseSpec

from cody.archive.whole import ArchiveGone
from cody.contract import errors as e
from cody.store import DatabaseGone
from cody.stream.connection import RedisGone

PROBLEM_JSON = "application/problem+json"
RETRY_SECONDS = 2

_log = logging.getLogger(__name__)


class ProblemError(Exception):
    """An error answer; `problem` is its whole body."""

    def __init__(self, problem: e.Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class TemporalGone(Exception):
    """Temporal is away, or the call's outcome is unknown."""


def problem(status: int, code: str, detail: str, errors: tuple[e.FieldError, ...] | None = None) -> ProblemError:
    """An error to raise."""
    title = HTTPStatus(status).phrase
    return ProblemError(e.Problem(title=title, status=status, detail=detail, code=code, errors=errors))


def invalid(field: str, message: str) -> ProblemError:
    """One fault of a request."""
    fault = e.FieldError(field=field, message=message)
    return problem(400, e.INVALID_REQUEST, f"{field}: {message}", (fault,))


def run_not_found(run_id: str) -> ProblemError:
    """There is no such run."""
    return problem(404, e.RUN_NOT_FOUND, f"there is no run {run_id[:128]!r}")


def unavailable(part: str, error: object) -> ProblemError:
    """A part is away; `part` is temporal, redis or database."""
    said = next(iter(str(error).splitlines()), type(error).__name__)
    return problem(503, f"{part}_unavailable", f"{part} is not available: {said[:300]}")


def not_ready(faults: Mapping[str, Exception]) -> ProblemError:
    """503 naming every part that is down, and why."""
    each = [unavailable(part, fault).problem for part, fault in faults.items()]
    error = problem(503, each[0].code, "; ".join(one.detail for one in each))
    error.problem = e.HealthProblem(**error.problem.model_dump(), parts=tuple(faults))
    return error


def answer(body: e.Problem, headers: dict[str, str] | None = None) -> Response[bytes]:
    """The response of a problem."""
    retry = {"Retry-After": str(RETRY_SECONDS)} if body.status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    headers = {**retry, **(headers or {})}
    content = body.model_dump_json().encode()
    return Response(content, status_code=body.status, media_type=PROBLEM_JSON, headers=headers)


def _raised(_: Request[Any, Any, Any], error: ProblemError) -> Response[bytes]:
    return answer(error.problem)


def _away(part: str) -> Any:
    def handle(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        return answer(unavailable(part, error).problem)

    return handle


def _invalid(_: Request[Any, Any, Any], error: ValidationException) -> Response[bytes]:
    """Parameters that Litestar checked; a body is checked in `api.json_request`, unless there is none."""
    extra = cast("list[dict[str, Any]]", error.extra if isinstance(error.extra, list) else [])
    faults = tuple(_parameter_fault(each) for each in extra)
    detail = "; ".join(f"{fault.field}: {fault.message}" for fault in faults) or error.detail
    return answer(problem(400, e.INVALID_REQUEST, detail, faults or None).problem)


def _parameter_fault(told: dict[str, Any]) -> e.FieldError:
    if told.get("key") == "data":
        return e.FieldError(field="body", message="a JSON object is required")
    return e.FieldError(field=str(told.get("key") or told.get("source")), message=str(told.get("message")))


def _http(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    status = error.status_code
    if status == HTTPStatus.NOT_FOUND:
        return answer(problem(404, e.NOT_FOUND, f"there is nothing at {request.url.path[:300]}").problem)
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = {name.lower(): value for name, value in (error.headers or {}).items()}.get("allow", "")
        detail = f"{request.method} is not possible here; there is {allowed}"
        return answer(problem(405, e.METHOD_NOT_ALLOWED, detail).problem, {"Allow": allowed})
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return answer(invalid("request", error.detail or HTTPStatus(status).phrase).problem)
    return _unexpected(request, error)


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return answer(problem(500, e.INTERNAL, "something went wrong here; the service's log says what").problem)


HANDLERS: Any = {
    ProblemError: _raised,
    ValidationException: _invalid,
    HTTPException: _http,
    TemporalGone: _away("temporal"),
    **dict.fromkeys(RedisGone, _away("redis")),
    ArchiveGone: _away("database"),
    **dict.fromkeys(DatabaseGone, _away("database")),
    Exception: _unexpected,
}
"""Litestar's `exception_handlers`, which the domain's own exceptions are mapped in too."""


def documented(
    *statuses: int, conflict: type[e.Problem] = e.Problem, away: type[e.Problem] = e.Problem
) -> dict[int, ResponseSpec]:
    """The error answers of a route, for its OpenAPI; `conflict` is the body of its 409, `away` of its 503."""
    models: dict[int, type[e.Problem]] = {409: conflict, 410: e.CursorProblem, 503: away}
    return {
        status: ResponseSpec(
            models.get(status, e.Problem), description=_description(status, models), media_type=PROBLEM_JSON,
            generate_examples=False,
        )
        for status in statuses
    }  # fmt: skip


def _description(status: int, models: dict[int, type[e.Problem]]) -> str:
    """What the model of a special body says of itself, else the status's own phrase."""
    model = models.get(status, e.Problem)
    said = model.__doc__ if model is not e.Problem else None
    return said or HTTPStatus(status).phrase

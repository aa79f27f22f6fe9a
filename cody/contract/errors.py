"""The error of the contract and every code that Cody itself raises.

The place that raises a code and the place that handles it both read it here, so they cannot diverge. Codes of a
provider or an agent (`rate_limit_exceeded`, …) pass through unchanged and are not listed.
"""

from typing import Any, Final

from pydantic import Field

from cody.contract.base import Maybe, Model

# What a turn or a run failed with.
AGENT_EXIT: Final = "agent_exit"
TURN_TIMEOUT: Final = "turn_timeout"
PROMPT_UNREADABLE: Final = "prompt_unreadable"
WORKING_DIR_GONE: Final = "working_dir_gone"
WORKER_LOST: Final = "worker_lost"
AGENT_UNAVAILABLE: Final = "agent_unavailable"
PROVIDER_TIMEOUT: Final = "provider_timeout"
PROVIDER_UNREACHABLE: Final = "provider_unreachable"
PROVIDER_CUT: Final = "provider_stream_cut"
PROVIDER_MALFORMED: Final = "provider_malformed"
PROVIDER_KEY_MISSING: Final = "provider_key_missing"
SURVIVORS: Final = "survivors"
INTERNAL: Final = "internal_error"
ATTEMPTS_EXHAUSTED: Final = "attempts_exhausted"
WORKFLOW_TERMINATED: Final = "workflow_terminated"
WORKFLOW_FAILED: Final = "workflow_failed"
WORKFLOW_LOST: Final = "workflow_lost"
STREAM_SEQUENCE: Final = "stream_sequence_error"

# What a warning event says.
INVALID_TELEMETRY: Final = "invalid_telemetry"
ILLEGAL_SIGNAL: Final = "illegal_signal"
WORKING_DIR_SHARED: Final = "working_dir_shared"
WORKER_SHUTDOWN: Final = "worker_shutdown"
WATCH_FAILED: Final = "watch_failed"
SESSION_LOST: Final = "session_lost"
PERMISSION_DENIED: Final = "permission_denied"
PROVIDER_RETRY: Final = "provider_retry"
AGENT_WARNING: Final = "agent_warning"
MAX_STEPS: Final = "max_steps"

# What the API answers.
INVALID_REQUEST: Final = "invalid_request"
NOT_FOUND: Final = "not_found"
METHOD_NOT_ALLOWED: Final = "method_not_allowed"
RUN_NOT_FOUND: Final = "run_not_found"
RESPONSE_NOT_FOUND: Final = "response_not_found"
THREAD_NOT_FOUND: Final = "thread_not_found"
TURN_NOT_FOUND: Final = "turn_not_found"
INVALID_TRANSITION: Final = "invalid_transition"
IDEMPOTENCY_CONFLICT: Final = "idempotency_conflict"
THREAD_BUSY: Final = "thread_busy"
WORKING_DIR_NOT_ALLOWED: Final = "working_dir_not_allowed"
BODY_TOO_LARGE: Final = "body_too_large"
INVALID_CURSOR: Final = "invalid_cursor"
CURSOR_AHEAD: Final = "cursor_ahead"
STREAM_TRIMMED: Final = "stream_trimmed"
TEMPORAL_UNAVAILABLE: Final = "temporal_unavailable"
REDIS_UNAVAILABLE: Final = "redis_unavailable"
DATABASE_UNAVAILABLE: Final = "database_unavailable"


class ErrorInfo(Model):
    """Why something failed, and whether trying it again makes sense."""

    code: str
    message: str
    retryable: bool = False
    details: Maybe[dict[str, Any]] = None


class FieldError(Model):
    """One fault of a request: the field's dotted path, and what is wrong with it."""

    field: str
    message: str


class Problem(Model):
    """The body of every error answer (`application/problem+json`, RFC 9457) with Cody's `code`."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    errors: Maybe[tuple[FieldError, ...]] = None


class StartProblem(Problem):
    """A start that cannot be accepted beside what is there: `idempotency_conflict` or `thread_busy`."""

    run_id: Maybe[str] = Field(default=None, description="`thread_busy`: the run that is under way on the thread.")


class TransitionProblem(Problem):
    """A control that the run's status does not allow: what the status is."""

    run_status: str = Field(description="The run's status; `status` beside it is the HTTP status, as RFC 9457 says.")


class HealthProblem(Problem):
    """Not ready: which parts are down. `code` is the first one's, and `detail` says what is wrong with each."""

    parts: tuple[str, ...] = Field(description="Of `temporal`, `redis` and `database`, those that are down.")


class CursorProblem(Problem):
    """A cursor that cannot be resumed from: all a client needs to heal in this one round trip."""

    earliest_cursor: str | None
    latest_cursor: str | None
    responses: str = Field(description="Link to the projected documents, which hold what the stream no longer has.")

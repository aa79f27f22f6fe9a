"""Whether a run is over: cancel beats failure beats completion beats pause. Pure, on the run's state alone."""

from dataclasses import dataclass

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from cody.contract import tasks as t
    from cody.contract.cursor import MAX_ATTEMPT
    from cody.contract.errors import ATTEMPTS_EXHAUSTED, INTERNAL, SURVIVORS, ErrorInfo
    from cody.contract.lifecycle import RunStatus
    from cody.contract.payloads import (
        CompletionReason,
        CompletionVerdict,
        Payload,
        Receipt,
        RunCancelled,
        RunCompleted,
        RunFailed,
    )


_MAX_BACK_OFF_SECONDS = 60.0
_MAX_WISH_SECONDS = 900.0
"""How long a provider may make a run wait before the next attempt."""


@dataclass(frozen=True)
class Ending:
    """How a run ends: its last status and its terminal event."""

    status: RunStatus
    type: str
    payload: Payload
    reason: str
    error: ErrorInfo | None = None
    completion: CompletionVerdict | None = None


def judge(state: t.RunState, report: t.TurnReport, now: int) -> Ending | None:
    """What the end of an attempt means for the run; None is: go on."""
    if state.status == "cancelling":
        return cancelled(state, report, now)
    if report.outcome == "failed" and not may_retry(state, report):
        return failed(report.error or ErrorInfo(code=INTERNAL, message="the turn failed without a reason"))
    if state.attempt >= MAX_ATTEMPT and report.outcome != "completed":
        return failed(ErrorInfo(code=ATTEMPTS_EXHAUSTED, message=f"turn {state.turn} was tried {MAX_ATTEMPT} times"))
    if report.outcome == "completed" and (reason := _complete(state, report, now)):
        verdict = report.completion
        return Ending(
            status="completed",
            type="run_completed",
            payload=RunCompleted(reason=reason, completion=verdict if verdict.detected else None),
            reason=reason,
            completion=verdict,
        )
    return None


def may_retry(state: t.RunState, report: t.TurnReport) -> bool:
    """Whether the turn is tried again after this failure (which `state.failures` counts already)."""
    return report.error is not None and report.error.retryable and state.failures < state.limits.turn_attempts


def back_off(failures: int, error: ErrorInfo | None) -> float:
    """Seconds between the turn's failure with this number (from 1) and its next attempt.

    They double from 1 to 60; a provider that says when to come again (`retry_after_seconds`) is not asked sooner, but
    not waited for longer than 15 minutes either.
    """
    ours = min(2.0 ** (failures - 1), _MAX_BACK_OFF_SECONDS)
    wish = (error.details or {}).get("retry_after_seconds") if error is not None else None
    return max(ours, min(float(wish), _MAX_WISH_SECONDS)) if isinstance(wish, int | float) else ours


def _complete(state: t.RunState, report: t.TurnReport, now: int) -> CompletionReason | None:
    limits = state.limits
    if limits.kind == "single":
        return "single_turn"
    if report.completion.detected:
        return "stop_file" if report.completion.source == "stop_file" else "completion"
    if limits.max_turns is not None and state.turn >= limits.max_turns:
        return "max_turns"
    worked_ms = now - (state.started_at or now) - state.paused_ms
    over_time = limits.max_duration_seconds is not None and worked_ms >= limits.max_duration_seconds * 1000
    over_tokens = limits.max_tokens is not None and state.tokens >= limits.max_tokens
    return "budget" if over_time or over_tokens else None


def cancelled(state: t.RunState, report: t.TurnReport | None, now: int) -> Ending:
    """The run's end by a cancel, with the receipt; or its failure, if something of it still runs."""
    if report is not None and report.survivors:
        message = f"processes that could not be ended: {', '.join(map(str, report.survivors))}"
        return failed(ErrorInfo(code=SURVIVORS, message=message, details={"pids": list(report.survivors)}))
    receipt = Receipt(
        requested_at=state.requested_at,
        quiet_at=max(report.quiet_at if report and report.quiet_at else now, state.requested_at),
        signals=report.signals if report else (),
        reaped=report.reaped if report else (),
        tokens=state.tokens,
        worker_lost=True if report and report.worker_lost else None,
    )
    payload = RunCancelled(reason=state.reason, receipt=receipt)
    return Ending(status="cancelled", type="run_cancelled", payload=payload, reason=state.reason)


def failed(error: ErrorInfo) -> Ending:
    """The run's end by a failure."""
    return Ending(status="failed", type="run_failed", payload=RunFailed(error=error), reason=error.code, error=error)

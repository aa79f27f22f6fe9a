"""One attempt at a turn as the workflow sees it: taken, sure of its end, and projected."""

from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from cody.contract import tasks as t
    from cody.contract.cursor import MAX_ATTEMPT
    from cody.contract.errors import INTERNAL, WORKER_LOST, ErrorInfo
    from workflows import stubs
    from workflows.journal import Journal, now_ms
    from workflows.waiting import SIGNAL_SECONDS, wait_up_to


class Attempts:
    """Takes the attempts of a run's turns, one after the other; `interrupted` says that one has to stop at once."""

    def __init__(self, state: t.RunState, journal: Journal, interrupted: Callable[[], bool]) -> None:
        self._state = state
        self._journal = journal
        self._interrupted = interrupted

    async def take(self) -> t.TurnReport:
        """One attempt at the turn; returns when its end is in the log and in the documents.

        What the journal has not recorded yet goes with it: the attempt sees to it that it comes first.
        """
        state = self._state
        first = state.attempt + 1
        timeout = timedelta(seconds=state.limits.turn_timeout_seconds)
        turn = stubs.take_turn(self._turn_task(first, self._journal.hand_over()), timeout)
        await workflow.wait_condition(lambda: turn.done() or self._interrupted())
        if not turn.done():
            turn.cancel()
        report, in_log = await self._report(turn, first)
        state.attempt = min(max(first - 1, report.attempt), MAX_ATTEMPT)
        if report.outcome == "failed":
            state.failures += 1
        if report.outcome == "completed":
            state.turn_open = False
        state.carry = report.carry or state.carry
        state.unproven = state.unproven or report.worker_lost or report.attempt > first
        if in_log:
            await self._project(report.projected, in_log)
        return report

    async def _project(self, projected: t.ProjectReport | None, attempt: int) -> None:
        """Have the end of this attempt in the documents, where the attempt has not seen to that itself."""
        state = self._state
        if projected is None or projected.attempt < attempt:
            projected = await stubs.project_turn(
                t.ProjectTask(run_id=state.run_id, turn=state.turn, first_attempt=attempt, after=state.cursor)
            )
        state.cursor, state.tokens = projected.cursor, projected.tokens

    def _turn_task(self, first: int, unsaid: t.RecordTask | None) -> t.TurnTask:
        state = self._state
        return t.TurnTask(
            run_id=state.run_id,
            turn=state.turn,
            first_attempt=first,
            failures=state.failures,
            turn_attempts=state.limits.turn_attempts,
            applied_control=state.applied_control,
            started_at=state.started_at or now_ms(),
            paused_ms=state.paused_ms,
            tokens=state.tokens,
            after=state.turn_after,
            carry=state.carry,
            first=unsaid,
            unproven=state.unproven,
        )

    async def _report(self, turn: workflow.ActivityHandle[t.TurnReport], first: int) -> tuple[t.TurnReport, int]:
        """How the attempt ended, and whether the log has it. What the attempt could not write itself is written."""
        state = self._state
        try:
            report = await turn
        except ActivityError as error:
            self._journal.handed_over(recorded=False)
            outcome = "stopped" if self._interrupted() else "failed"
            return await self._lost(t.TurnReport(attempt=first - 1, outcome=outcome, error=_fault(error)), first)
        self._journal.handed_over(recorded=report.begun)
        if not report.begun:
            # What it follows may be an attempt whose worker was lost.
            await wait_up_to(SIGNAL_SECONDS, lambda: state.applied_control >= report.awaits)
            return await self._lost(report, first)
        if report.outcome != "stopped":
            return report, report.attempt
        ended = await stubs.end_turn(t.EndTask(run_id=state.run_id, turn=state.turn, reason=state.reason))
        return report, self._in_log(ended, first)

    async def _lost(self, report: t.TurnReport, first: int) -> tuple[t.TurnReport, int]:
        """Write the end of an attempt that nobody is left to write, and learn which attempt that was."""
        state = self._state
        end = t.EndTask(run_id=state.run_id, turn=state.turn, reason=state.reason, sweep=True)
        if report.outcome == "failed" and report.error is not None:
            will_retry = report.error.retryable and state.failures + 1 < state.limits.turn_attempts
            end = end.model_copy(update={"error": report.error, "will_retry": will_retry})
        ended = await stubs.end_turn(end)
        in_log = self._in_log(ended, first)
        found = {
            "attempt": max(first - 1, ended.attempt if in_log else 0, ended.newest_claim),
            "reaped": ended.reaped,
            "survivors": ended.survivors,
            "worker_lost": ended.newest_claim >= first,
        }
        return report.model_copy(update=found), in_log

    def _in_log(self, ended: t.EndReport, first: int) -> int:
        return ended.attempt if ended.turn == self._state.turn and ended.attempt >= first else 0


def _fault(error: ActivityError) -> ErrorInfo:
    """What to tell of an attempt that ended without a report."""
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return ErrorInfo(code=cause.type or INTERNAL, message=cause.message, retryable=True)
    return ErrorInfo(code=WORKER_LOST, message=str(cause or error), retryable=True)

"""A continuous run: turn after turn until its goal is met, controllable at every moment."""

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from cody.contract import tasks as t
    from cody.contract.errors import ILLEGAL_SIGNAL, INTERNAL, SURVIVORS, ErrorInfo
    from cody.contract.lifecycle import Action, transition
    from cody.contract.payloads import RunChanged, Warned
    from workflows import stubs
    from workflows.attempts import Attempts
    from workflows.journal import Journal, now_ms, said
    from workflows.verdict import Ending, back_off, cancelled, failed, judge
    from workflows.waiting import SIGNAL_SECONDS, wait_up_to

_SAID_BY = {"pause": "run_pausing", "resume": "run_resumed", "cancel": "run_cancelling"}


@workflow.defn(name=t.RUN_WORKFLOW)
class ContinuousRun:
    """One run. Signals only change its state; the one path through `_live` looks at it between its steps."""

    @workflow.init
    def __init__(self, state: t.RunState) -> None:
        self._state = state
        self._journal = Journal(state)
        self._attempts = Attempts(state, self._journal, lambda: self._interrupted)
        self._ending = False
        """The run's end is being written: what arrives now is looked at only if that is overtaken by a cancel."""
        self._late: list[tuple[Action, t.SignalArgument]] = []
        self._cancelled_in_temporal = False
        if not state.said and not state.closing:
            # Here, as a signal that came before the first workflow task is handled before `run` begins.
            self._journal.say("run_queued", RunChanged())

    @workflow.run
    async def run(self, state: t.RunState) -> t.RunResult:
        """Live to the end; a cancel by Temporal itself does what the signal `cancel` does."""
        tasks = (asyncio.create_task(self._live_and_end()), asyncio.create_task(self._journal.keep()))
        while True:
            try:
                done, _ = await workflow.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                break
            except asyncio.CancelledError:
                self._cancelled_in_temporal = True
                self._control("cancel", t.SignalArgument(reason="cancelled in Temporal"))
        ending = done[0].result()
        if ending is None:
            raise RuntimeError("the journal ended before the run")
        if ending.error is not None:
            raise ApplicationError(ending.error.message, type=ending.error.code, non_retryable=True)
        if self._cancelled_in_temporal and ending.status == "cancelled":
            raise asyncio.CancelledError
        return t.RunResult(status=ending.status, turns=state.turn, tokens=state.tokens, reason=ending.reason)

    # The signals, from the API, the Temporal Web UI or the `temporal` command.

    @workflow.signal
    def pause(self, argument: Any = None) -> None:
        """Pause after the turn, or now."""
        self._signal("pause", argument)

    @workflow.signal
    def resume(self, argument: Any = None) -> None:
        """Go on; also withdraws a pause that has not taken effect."""
        self._signal("resume", argument)

    @workflow.signal
    def cancel(self, argument: Any = None) -> None:
        """End the run, and everything that its agent started."""
        self._signal("cancel", argument)

    def _signal(self, action: Action, argument: Any) -> None:
        try:
            parsed = t.SignalArgument.model_validate(argument or {})
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            self._journal.say("warning", Warned(code=ILLEGAL_SIGNAL, message=f"{action}: {faults}"))
            return
        self._control(action, parsed)

    def _control(self, action: Action, argument: t.SignalArgument) -> None:
        """Apply a control by the table; the API's are numbered, and each is applied once, in order."""
        state = self._state
        if self._ending:
            self._late.append((action, argument))
            return
        if argument.control_id is not None:
            if argument.control_id <= state.applied_control:
                return
            state.applied_control = argument.control_id
            self._journal.touch()
        after = transition(state.status, action)
        if after is None:
            message = f"{action} is not possible while the run is {state.status}"
            self._journal.say("warning", Warned(code=ILLEGAL_SIGNAL, message=message))
            return
        if action == "pause" and argument.mode == "now" and state.status != "paused":
            state.pause_now = True
        if after == state.status:
            return
        state.status, state.reason = after, argument.reason
        if action == "cancel":
            state.requested_at = argument.requested_at or now_ms()
        if action == "resume":
            state.pause_now = False
        self._journal.say(_SAID_BY[action], RunChanged(reason=argument.reason))

    # The run.

    async def _live_and_end(self) -> Ending:
        state = self._state
        if state.closing:
            report = await stubs.end_turn(t.EndTask(run_id=state.run_id, turn=None, error=state.closing, sweep=True))
            await self._project_rest(report)
            return await self._end(failed(state.closing))
        try:
            ending = await self._live()
        except ActivityError as error:
            # The record itself cannot be kept: the projector met an event that no reader can read, say.
            ending = failed(ErrorInfo(code=INTERNAL, message=str(error.cause or error)))
        return await self._end(ending)

    async def _live(self) -> Ending:
        """Turn after turn; gives the run's end."""
        while True:
            await self._while_paused()
            if self._state.status == "cancelling":
                return cancelled(self._state, None, now_ms())
            self._begin()
            report = await self._attempts.take()
            if ending := judge(self._state, report, now_ms()):
                return ending
            await self._between(report)
            await self._continue_as_new_if_due()

    async def _while_paused(self) -> None:
        state = self._state
        while state.status == "pausing":
            state.status, state.pause_now = "paused", False
            self._journal.say("run_paused", RunChanged(reason=state.reason))
            since = now_ms()
            await workflow.wait_condition(lambda: state.status != "paused")
            state.paused_ms += now_ms() - since

    def _begin(self) -> None:
        state = self._state
        if state.started_at is None:
            state.started_at = now_ms()
            if state.status == "queued":
                state.status = "running"
            self._journal.say("run_started", RunChanged())
        if not state.turn_open:
            state.turn, state.turn_open = state.turn + 1, True
            state.turn_after = state.cursor
            state.attempt = state.failures = 0

    @property
    def _interrupted(self) -> bool:
        state = self._state
        return state.status == "cancelling" or (state.status == "pausing" and state.pause_now)

    async def _between(self, report: t.TurnReport) -> None:
        """The loop delay after a turn, the back-off after a failure; a control cuts both short."""
        state = self._state
        seconds = 0.0
        if report.outcome == "completed":
            seconds = state.limits.loop_delay_seconds
        elif report.outcome == "failed":
            seconds = back_off(state.failures, report.error)
        if seconds > 0:
            await wait_up_to(seconds, lambda: state.status in ("pausing", "cancelling"))

    async def _continue_as_new_if_due(self) -> None:
        """Between turns history may start afresh; a signal that arrives meanwhile is in the state, or comes after."""
        if not workflow.info().is_continue_as_new_suggested():
            return
        await self._journal.written()
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(self._state)

    async def _project_rest(self, ended: t.EndReport) -> None:
        """Bring the documents up to the end of the turn that a terminated workflow left under way."""
        if ended.turn:
            task = t.ProjectTask(run_id=self._state.run_id, turn=ended.turn, first_attempt=ended.attempt, after=0)
            projected = await stubs.project_turn(task)
            self._state.turn, self._state.tokens = ended.turn, projected.tokens

    async def _end(self, ending: Ending) -> Ending:
        """Write the run's end; a cancel that was accepted before it could be written comes first."""
        state = self._state
        await self._journal.written()
        if state.status == "cancelling" and ending.status != "cancelled" and ending.reason != SURVIVORS:
            ending = cancelled(state, None, now_ms())  # it came while that was written
        self._ending = True
        task = self._journal.task(0 if state.closing else state.said + 1, (said(ending.type, ending.payload),))
        update = {"status": ending.status, "error": ending.error, "completion": ending.completion}
        if not (await self._journal.record(task.model_copy(update=update))).overtaken:
            state.status = ending.status
            return ending
        self._ending = False
        for action, argument in self._late:
            self._control(action, argument)
        self._late.clear()
        if await wait_up_to(SIGNAL_SECONDS, lambda: state.status == "cancelling"):
            ending = cancelled(state, None, now_ms())
        return await self._end(ending)

"""Take a turn: one attempt, its writers beside it, and an ear for whoever wants it to stop."""

import asyncio

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.attempt import Attempt, AttemptTaken, DoneAlready, HandedOver, Orphaned, Parts
from activities.handover import handed_over
from activities.project import ProjectActivity
from activities.projecting import AttemptProjector, finished
from activities.record import RecordActivity
from activities.stopping import watch_over
from cody.agents.base import Stop
from cody.agents.sweep import sweep_attempt
from cody.contract import tasks as t
from cody.contract.cursor import MAX_ATTEMPT, epoch_of
from cody.contract.errors import ATTEMPTS_EXHAUSTED, INTERNAL
from cody.contract.events import PAYLOADS, Speaker
from cody.contract.lifecycle import ENDED, RunStatus, transition
from cody.store import DatabaseGone, RunRow
from cody.stream.connection import RedisGone
from cody.stream.ends import finish_attempt
from cody.stream.writer import Fenced


class TurnActivity:
    """Runs agents."""

    def __init__(self, parts: Parts, record: RecordActivity, project: ProjectActivity) -> None:
        self._parts = parts
        self._record = record
        self._project = project

    @activity.defn(name=t.TAKE_TURN)
    async def take_turn(self, task: t.TurnTask) -> t.TurnReport:
        """Do one attempt and project it; a failure of the agent is a report, an exception makes Temporal repeat it."""
        number = task.first_attempt + activity.info().attempt - 1
        if number > MAX_ATTEMPT:
            message = f"turn {task.turn} was begun {MAX_ATTEMPT} times"
            raise ApplicationError(message, type=ATTEMPTS_EXHAUSTED, non_retryable=True)
        run = await self._parts.store.runs.get(task.run_id, unconfirmed=True)
        if run is None:
            raise ApplicationError(f"run {task.run_id} is not in the store", type="run_unknown", non_retryable=True)
        if (held := _held(run, task, number)) is not None:
            return t.TurnReport(attempt=number - 1, outcome="stopped", begun=False, awaits=held)
        if number > 1:
            return await self._take(task, run, number)
        with self._project.expect(task):
            return await self._take(task, run, number)

    async def _take(self, task: t.TurnTask, run: RunRow, number: int) -> t.TurnReport:
        if task.first is not None:
            await self._record.write(task.first)
        if number > task.first_attempt and (report := await self._done_before(task, run, number)):
            return report
        timeout = run.request.continuous().turn_timeout_seconds
        attempt = Attempt(self._parts, _resumed(task), run, number, Stop())
        try:
            return await _see_through(attempt, AttemptProjector(self._project, task, attempt), timeout)
        except HandedOver as error:
            raise handed_over(f"turn {task.turn} of {task.run_id}") from error
        except (AttemptTaken, *DatabaseGone, *RedisGone):
            raise  # the next attempt may find things better, and no agent has failed
        except (Fenced, DoneAlready, Orphaned) as error:
            if report := await self._done_before(task, run, number):
                return report
            raise ApplicationError(str(error), type="superseded", non_retryable=True) from error
        except Exception as error:
            grace = self._parts.kill_grace_seconds
            await sweep_attempt(task.run_id, str(task.turn), str(number), grace_seconds=grace)
            message = f"{type(error).__name__}: {error}"
            raise ApplicationError(message, type=INTERNAL, non_retryable=True) from error

    async def _done_before(self, task: t.TurnTask, run: RunRow, number: int) -> t.TurnReport | None:
        """The report of an earlier attempt that did the turn, if Temporal never got it: an agent works only once.

        Unless a newer attempt than that one has begun; one that has not, as it is frozen, will not any more.
        """
        kept = await self._parts.store.turns.report(task.run_id, task.turn)
        if kept is None:
            return None
        report = t.KeptReport.model_validate_json(kept)
        speaker = Speaker(run_id=task.run_id, turn=task.turn, attempt=report.attempt, trace_context=run.trace_context)
        words = [(said.type, said.at, PAYLOADS[said.type].model_validate(said.payload)) for said in report.words]
        done = await finish_attempt(self._parts.log, speaker, words)
        if done and await self._parts.log.settle(task.run_id, speaker.epoch, epoch_of(task.turn, number)):
            told = t.TurnReport.model_validate(report.model_dump(exclude={"opening", "words"}))
            return told.model_copy(update={"worker_lost": True})
        return None


def _resumed(task: t.TurnTask) -> t.TurnTask:
    """The task with what the attempt before this one left in its heartbeats, if its worker was lost."""
    left = activity.info().heartbeat_details
    return task.model_copy(update={"carry": left[0]}) if left else task


def _held(run: RunRow, task: t.TurnTask, number: int) -> int | None:
    """Whether the run is to stop before this attempt begins: the control that says so (0 if it is recorded already).

    A workflow task that was under way when a signal came does not see it, and a worker that was frozen wakes with
    attempts in hand that nobody waits for; None is: begin.
    """
    status: RunStatus = run.row["status"]
    if status == "cancelling" or status in ENDED:
        return 0
    status, awaited, now = "running", 0, False
    for control in run.pending:
        if control.id > task.applied_control:
            status = transition(status, control.action) or status
            awaited, now = control.id, now or control.mode == "now"
    held = status == "cancelling" or (status == "pausing" and (now or number == 1))
    return awaited if held else None


async def _see_through(attempt: Attempt, projector: AttemptProjector, timeout_seconds: float) -> t.TurnReport:
    """Run the attempt with its two writers and its projector; return when its last word is in the log and its output in
    the store, and if that can be had soon, in the documents.
    """
    writing = asyncio.create_task(attempt.writer.run())
    keeping = asyncio.create_task(attempt.output.run())
    projecting = asyncio.create_task(projector.run())
    work = asyncio.create_task(attempt.run())

    ours = asyncio.create_task(_last_words(attempt, work, writing, keeping))
    try:
        await watch_over(ours, writing, attempt.stop, timeout_seconds, lambda: attempt.carry)
        report = ours.result()
        if report.outcome == "stopped":  # its end is for the run to write
            return report
        return report.model_copy(update={"projected": await finished(projecting)})
    finally:
        tasks = (work, ours, writing, keeping, projecting)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _last_words(
    attempt: Attempt,
    work: "asyncio.Task[t.TurnReport]",
    writing: "asyncio.Task[None]",
    keeping: "asyncio.Task[None]",
) -> t.TurnReport:
    try:
        return await work
    finally:
        attempt.writer.close()
        attempt.output.close()
        await asyncio.gather(writing, keeping)

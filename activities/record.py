"""Record the run: first the store, then the log, so that who reads an event of the log finds it in the documents."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.beat import beat
from activities.beside import beside
from activities.end import EndActivity
from activities.project import ProjectActivity
from cody.contract import tasks as t
from cody.contract.errors import WORKER_LOST, ErrorInfo
from cody.contract.events import PAYLOADS, Speaker
from cody.store import Overtaken, RunChange, Store, Word
from cody.stream.ends import AttemptOpen, Said, append_lifecycle, append_next
from cody.stream.log import Log

_LAST_VERSION = 2**53
"""Above every number that a workflow hands out: for the end that is written when the workflow is gone."""


class RecordActivity:
    """Run status and lifecycle events."""

    def __init__(self, store: Store, log: Log, end: EndActivity, project: ProjectActivity) -> None:
        self._store = store
        self._log = log
        self._end = end
        self._project = project

    @activity.defn(name=t.RECORD)
    async def record(self, task: t.RecordTask) -> t.RecordReport:
        """`write`, and who has it is missed if it is frozen."""
        async with beside(beat()):
            return await self.write(task)

    async def write(self, task: t.RecordTask) -> t.RecordReport:
        """Idempotent: the store skips an older state, the log skips numbers that it has."""
        change = RunChange(
            run_id=task.run_id,
            version=task.first + len(task.said) - 1 if task.first else _LAST_VERSION,
            status=task.status,
            at=task.at,
            applied_control=task.applied_control,
            started_at=task.started_at,
            error=task.error,
            completion=task.completion,
            words=[
                Word(task.first + place if task.first else _LAST_VERSION, said.type, said.at, said.payload)
                for place, said in enumerate(task.said)
            ],
        )
        try:
            run = await self._store.runs.record(change)
        except Overtaken as error:
            return t.RecordReport(overtaken=True, last_control=error.run.last_control)
        if run is None:
            raise ApplicationError(f"run {task.run_id} is not in the store", type="run_unknown", non_retryable=True)
        speaker = Speaker(run_id=task.run_id, trace_context=run.trace_context)
        events: list[Said] = [
            (said.type, said.at, PAYLOADS[said.type].model_validate(said.payload)) for said in task.said
        ]
        while True:
            try:
                await self._append(speaker, task.first, events)
            except AttemptOpen:
                await self._close_attempt(task)
            else:
                return t.RecordReport(last_control=run.last_control)

    async def _append(self, speaker: Speaker, first: int, events: list[Said]) -> None:
        if not first:
            for event in events:
                await append_next(self._log, speaker, event)
        elif events:
            await append_lifecycle(self._log, speaker, first, events)

    async def _close_attempt(self, task: t.RecordTask) -> None:
        """End what a worker that was frozen began after the run had settled its turn, and bring it into the documents.

        The workflow knows nothing of that attempt, and the run's end has to be the last that a reader sees.
        """
        end = t.EndTask(run_id=task.run_id, turn=None, sweep=True)
        if task.status == "cancelled":
            end = end.model_copy(update={"reason": task.said[-1].payload["reason"]})
        else:
            lost = ErrorInfo(code=WORKER_LOST, message="the attempt was begun when the run had settled its turn")
            end = end.model_copy(update={"error": task.error or lost})
        ended = await self._end.end_turn(end)
        await self._project.project_turn(
            t.ProjectTask(run_id=task.run_id, turn=ended.turn, first_attempt=ended.attempt, after=0)
        )

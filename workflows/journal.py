"""What the run says of itself: numbered where it happens, recorded in order by one task."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from cody.contract import tasks as t
    from cody.contract.payloads import Payload
    from workflows import stubs


def now_ms() -> int:
    """The workflow's time, Unix milliseconds."""
    return workflow.time_ns() // 1_000_000


class Journal:
    """Keeps the store and the log up with the run's state. Signal handlers only `say`; `keep` does the writing."""

    def __init__(self, state: t.RunState) -> None:
        self._state = state
        self._behind = False
        self._writing = False

    def say(self, type_: str, payload: Payload) -> None:
        """Number an event; it will be recorded together with the state of that moment or a later one."""
        self._state.said += 1
        self._state.unsaid.append(said(type_, payload))

    def touch(self) -> None:
        """Something that is no event is to be recorded: a control was applied."""
        self._behind = True

    async def keep(self) -> None:
        """Record whatever is said, for as long as the run lives."""
        while True:
            await workflow.wait_condition(lambda: self._behind or bool(self._state.unsaid))
            self._behind, self._writing = False, True
            task = self._task_of_unsaid()
            await self.record(task)
            del self._state.unsaid[: len(task.said)]
            self._writing = False

    async def record(self, task: t.RecordTask) -> t.RecordReport:
        """Have it recorded. A control's number that a signal made up is forgotten, or the API's next would seem old.

        What was passed over until now is pending in the store, and signalled again.
        """
        report = await stubs.record(task)
        if report.last_control is not None and task.applied_control > report.last_control:
            self._state.applied_control = 0
        return report

    def unsaid(self) -> t.RecordTask | None:
        """What was said and may not be recorded yet, for who has to come after it."""
        return self._task_of_unsaid() if self._state.unsaid else None

    async def written(self) -> None:
        """Return when all that was said is in the store and in the log."""
        await workflow.wait_condition(lambda: not (self._behind or self._writing or self._state.unsaid))

    def _task_of_unsaid(self) -> t.RecordTask:
        batch = tuple(self._state.unsaid)
        return self.task(self._state.said - len(batch) + 1, batch)

    def task(self, first: int, events: tuple[t.Said, ...]) -> t.RecordTask:
        """The run's state as it is now, and these events numbered from `first`."""
        state = self._state
        return t.RecordTask(
            run_id=state.run_id,
            status=state.status,
            first=first,
            said=events,
            at=now_ms(),
            applied_control=state.applied_control,
            started_at=state.started_at,
        )


def said(type_: str, payload: Payload) -> t.Said:
    """An event as it goes to the activity that appends it."""
    return t.Said(type=type_, at=now_ms(), payload=payload.model_dump(mode="json", by_alias=True))

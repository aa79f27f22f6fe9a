"""What the run says of itself: numbered where it happens, recorded in order by one task."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from cody.contract import tasks as t
    from cody.contract.payloads import Payload
    from workflows import stubs
    from workflows.waiting import wait_up_to

CARRIED_SECONDS = 5.0
"""How long what a turn was given to record may wait for it: a turn that is over by then has spared the run a record."""


def now_ms() -> int:
    """The workflow's time, Unix milliseconds."""
    return workflow.time_ns() // 1_000_000


class Journal:
    """Keeps the store and the log up with the run's state. Signal handlers only `say`; `keep` does the writing."""

    def __init__(self, state: t.RunState) -> None:
        self._state = state
        self._behind = False
        self._writing = False
        self._carried: int | None = None
        """The number of the last word that the turn under way has with it, and records before it begins."""

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
            if self._all_is_carried:
                await wait_up_to(CARRIED_SECONDS, lambda: not self._all_is_carried)
            if not (self._behind or self._state.unsaid):
                continue
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

    def hand_over(self) -> t.RecordTask | None:
        """What was said and may not be recorded yet, for the turn that has to come after it."""
        if not self._state.unsaid:
            return None
        self._carried = self._state.said
        return self._task_of_unsaid()

    def handed_over(self, *, recorded: bool) -> None:
        """That turn is over, and has recorded it, or may not have."""
        carried, self._carried = self._carried, None
        if carried is not None and recorded and not self._writing:
            later = self._state.said - carried
            del self._state.unsaid[: max(0, len(self._state.unsaid) - later)]

    @property
    def _all_is_carried(self) -> bool:
        return self._carried == self._state.said and not self._behind

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

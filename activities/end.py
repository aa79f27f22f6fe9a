"""End a turn whose attempt could not do so itself: it was stopped, or its worker is gone."""

from temporalio import activity

from activities.beat import beat
from activities.beside import beside
from cody.agents.sweep import sweep
from cody.clock import now_ms
from cody.contract import tasks as t
from cody.contract.base import response_id_of, turn_id_of
from cody.contract.cursor import epoch_of
from cody.contract.payloads import ResponseDone, ResponseError, TurnAborted, TurnFailed
from cody.contract.requests import ControlOptions
from cody.store import Store
from cody.stream.ends import Said, end_attempt
from cody.stream.log import Log


class EndActivity:
    """The run's word for an attempt."""

    def __init__(self, store: Store, log: Log, kill_grace_seconds: float) -> None:
        self._store = store
        self._log = log
        self._grace = kill_grace_seconds

    @activity.defn(name=t.END_TURN)
    async def end_turn(self, task: t.EndTask) -> t.EndReport:
        """Idempotent: an attempt that has its end, or that never wrote, is left as it is."""
        async with beside(beat()):
            return await self._end(task)

    async def _end(self, task: t.EndTask) -> t.EndReport:
        quiet = await sweep(task.run_id, before=None, grace_seconds=self._grace) if task.sweep else None
        run = await self._store.runs.get(task.run_id, unconfirmed=True)
        if run is None:
            return t.EndReport(turn=0, attempt=0, newest_claim=0)

        def said(turn: int, _attempt: int) -> list[Said]:
            return _last_words(task, turn)

        if task.turn is not None:
            await self._seal(task.run_id, task.turn)
        turn, attempt = await end_attempt(self._log, task.run_id, run.trace_context, task.turn, said)
        claim = await self._store.turns.newest_attempt(task.run_id, task.turn or turn)
        return t.EndReport(
            turn=turn,
            attempt=attempt,
            newest_claim=claim or 0,
            reaped=quiet.reaped if quiet else (),
            survivors=quiet.survivors if quiet else (),
        )

    async def _seal(self, run_id: str, turn: int) -> None:
        """An attempt that was claimed and has not written yet is none any more: its worker may only be frozen."""
        claim = await self._store.turns.newest_attempt(run_id, turn)
        if claim is not None:
            await self._log.seal(run_id, epoch_of(turn, claim))


def _last_words(task: t.EndTask, turn: int) -> list[Said]:
    at, response_id = now_ms(), response_id_of(task.run_id, turn)
    if task.error is not None:
        return [
            ("response_error", at, ResponseError(response_id=response_id, error=task.error)),
            ("turn_failed", at, TurnFailed(error=task.error, will_retry=task.will_retry)),
        ]
    reason = task.reason or ControlOptions().reason
    return [
        ("response_done", at, ResponseDone(response_id=response_id, status="aborted", finish_reason="aborted")),
        ("turn_aborted_by_user", at, TurnAborted(turn_id=turn_id_of(task.run_id, turn), reason=reason)),
    ]

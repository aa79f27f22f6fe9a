"""Controls that were accepted and that the run's workflow has not taken notice of yet."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, select, update

from cody.contract.lifecycle import Action, PauseMode, RunStatus, transition
from cody.store.database import Database
from cody.store.locks import lock_run
from cody.store.tables import controls, runs


class IllegalControl(Exception):
    """The run's status does not allow the action."""

    def __init__(self, status: RunStatus) -> None:
        super().__init__(status)
        self.status: RunStatus = status


@dataclass(frozen=True)
class Control:
    """An accepted control; the workflow applies them in the order of their ids, each once."""

    id: int
    run_id: str
    action: Action
    mode: PauseMode
    reason: str
    requested_at: int


_PENDING = select(controls).where(controls.c.run_id.in_(bindparam("runs", expanding=True))).order_by(controls.c.id)
_OVERDUE = select(controls.c.run_id).where(controls.c.requested_at < bindparam("before")).distinct()


def pending(connection: Connection, run_ids: Sequence[str]) -> dict[str, list[Control]]:
    """The pending controls of these runs, in order."""
    found: dict[str, list[Control]] = {}
    if not run_ids:
        return found
    for row in connection.execute(_PENDING, {"runs": run_ids}).mappings():
        found.setdefault(row["run_id"], []).append(Control(**row))
    return found


class ControlStore:
    """The rows of `controls`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def accept(
        self, run_id: str, action: Action, mode: PauseMode, reason: str, at: int
    ) -> tuple[RunStatus, list[Control]] | None:
        """Keep a control before its signal leaves; gives the status from now on and all controls to signal, in order.

        None if there is no such run; IllegalControl if its status does not allow the action. The verdict and the
        control are one transaction, so two clients cannot both resume the same pause.
        """

        def work(connection: Connection) -> tuple[RunStatus, list[Control]] | None:
            lock_run(connection, run_id)
            query = select(runs.c.status).where(runs.c.id == run_id, runs.c.confirmed.is_(True))
            status: RunStatus | None = connection.execute(query).scalar_one_or_none()
            if status is None:
                return None
            waiting = pending(connection, [run_id]).get(run_id, [])
            for control in waiting:
                status = transition(status, control.action) or status
            after = transition(status, action)
            if after is None:
                raise IllegalControl(status)
            values = {"run_id": run_id, "action": action, "mode": mode, "reason": reason, "requested_at": at}
            given = connection.execute(controls.insert().values(**values).returning(controls.c.id)).scalar_one()
            connection.execute(update(runs).where(runs.c.id == run_id).values(last_control=given))
            return after, [*waiting, Control(given, run_id, action, mode, reason, at)]

        return await self._db.write(work)

    async def withdraw(self, control_id: int) -> None:
        """The signal could not be sent and the client was told so."""
        query = delete(controls).where(controls.c.id == control_id)
        await self._db.write(lambda connection: connection.execute(query))

    async def overdue(self, older_than: int) -> dict[str, list[Control]]:
        """By run, the controls that have been waiting since before `older_than` (and those behind them)."""
        before = {"before": older_than}
        return await self._db.read(
            lambda connection: pending(connection, list(connection.execute(_OVERDUE, before).scalars()))
        )

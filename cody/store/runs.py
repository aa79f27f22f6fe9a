"""The runs: accepted, recorded by the workflow, advanced by the projector, listed."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, Update, and_, bindparam, delete, func, or_, select, true, update
from sqlalchemy.exc import IntegrityError

from cody.contract.lifecycle import ENDED
from cody.contract.requests import ContinuousRunRequest
from cody.store.controls import pending
from cody.store.database import Database
from cody.store.locks import lock_run
from cody.store.run_rows import Filters, KeyReused, NewRun, Overtaken, RunChange, RunRow, ThreadBusy
from cody.store.tables import archives, controls, idempotency, runs, said

_LIVE = runs.c.status.not_in(sorted(ENDED))
_CONFIRMED = runs.c.confirmed.is_(True)

# Made once: what a turn executes costs more to put together than SQLite takes to do it.
_BY_ID = select(runs).where(runs.c.id == bindparam("run"))
_ACCEPT = (runs.insert(), archives.insert())
_CONFIRM = update(runs).where(runs.c.id == bindparam("run")).values(confirmed=True)
_BEGIN_LOG = (
    update(runs).where(runs.c.id == bindparam("run"), runs.c.baseline.is_(None)).values(baseline=bindparam("found"))
)
_BASELINE = select(runs.c.baseline).where(runs.c.id == bindparam("run"))
_MINE = select(runs.c.id, runs.c.working_dir, runs.c.created_at).where(runs.c.id == bindparam("run")).subquery()
_EARLIER = or_(
    runs.c.created_at < _MINE.c.created_at, and_(runs.c.created_at == _MINE.c.created_at, runs.c.id < _MINE.c.id)
)
_SHARING = select(runs.c.id).where(runs.c.working_dir == _MINE.c.working_dir, _CONFIRMED, _LIVE, _EARLIER)


@cache
def _update(columns: tuple[str, ...]) -> Update:
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in columns}
    return update(runs).where(runs.c.id == bindparam("run")).values(values)


class RunStore:
    """The rows of `runs`."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._keep_words = database.insert(said).on_conflict_do_nothing()

    async def accept(self, new: NewRun) -> tuple[RunRow, bool]:
        """Keep a run before its workflow is started; gives the row and whether it is new.

        With an idempotency key that is known the same run comes back; KeyReused if its body was another. ThreadBusy if
        a run of its thread is not over.
        """

        def work(connection: Connection) -> tuple[RunRow, bool]:
            if known := _known(connection, new):
                return known, False
            run, archive = _ACCEPT
            connection.execute(run, _columns(new, _after_its_thread(connection, new)))
            connection.execute(archive, {"run_id": new.run_id})
            if new.idempotency_key is not None:
                key = {"key": new.idempotency_key, "fingerprint": new.fingerprint}
                connection.execute(idempotency.insert().values(**key, run_id=new.run_id, created_at=new.created_at))
            return RunRow(connection.execute(_BY_ID, {"run": new.run_id}).mappings().one()), True

        try:
            return await self._db.write(work)
        except IntegrityError:
            # PostgreSQL lets simultaneous starts come this far; what has the key or the thread can be seen by now.
            return await self._db.write(work)

    async def known(self, new: NewRun) -> RunRow | None:
        """The run that the idempotency key gave before; KeyReused if its body was another."""
        return await self._db.read(lambda connection: _known(connection, new))

    async def confirm(self, run_id: str) -> None:
        """The workflow exists: list the run from now on."""
        await self._db.write(lambda connection: connection.execute(_CONFIRM, {"run": run_id}))

    async def forget(self, run_id: str) -> None:
        """The workflow was never started, and nobody was answered: drop the run and its key."""
        query = delete(runs).where(runs.c.id == run_id, runs.c.confirmed.is_(False))
        await self._db.write(lambda connection: connection.execute(query))

    async def get(self, run_id: str, *, unconfirmed: bool = False) -> RunRow | None:
        """A run, if there is one."""
        row = await self._db.read(lambda connection: _fetch(connection, run_id))
        return row if row is not None and (row.row["confirmed"] or unconfirmed) else None

    async def page(self, filters: Filters) -> list[RunRow]:
        """A page of runs, newest first; one more than asked for, so that the caller sees whether there is a next."""

        def work(connection: Connection) -> list[RunRow]:
            rows: list[RunRow] = []
            before = filters.before
            while len(rows) <= filters.limit:
                found = _page(connection, filters, before)
                # What was accepted since counts too, and only the row's pending controls tell: so filter here again.
                rows.extend(row for row in found if filters.status in (None, row.status))
                if len(found) <= filters.limit:
                    break
                before = (found[-1].row["created_at"], found[-1].run_id)
            return rows[: filters.limit + 1]

        return await self._db.read(work)

    async def record(self, change: RunChange) -> RunRow | None:
        """Write the workflow's state down, unless a later one is there already; None if the run is unknown.

        Raises Overtaken, and changes nothing, if the run would end although a cancel was accepted in the meantime. An
        `applied_control` that was never accepted, as a signal sent by hand can name any, applies none.
        """

        def work(connection: Connection) -> RunRow | None:
            lock_run(connection, change.run_id)
            run = _fetch(connection, change.run_id)
            if run is None:
                return None
            over = run.row["status"] in ENDED
            applied = change.applied_control if change.applied_control <= run.last_control else 0
            if not over and change.status in {"completed", "failed"}:
                for control in run.pending:
                    if control.action == "cancel" and control.id > applied:
                        raise Overtaken(run)
            if not over and change.version > run.row["version"]:
                values = _changed(change)
                told = {f"new_{name}": value for name, value in values.items()}
                connection.execute(_update(tuple(values)), {"run": change.run_id, **told})
                if change.words:
                    connection.execute(self._keep_words, _words(change))
            if run.pending:
                done = controls.c.id <= applied if change.status not in ENDED else true()
                connection.execute(delete(controls).where(controls.c.run_id == change.run_id, done))
            return run

        return await self._db.write(work)

    async def begin_log(self, run_id: str, baseline: str) -> str:
        """Keep what the completion log held when the run began; the first one told stays, and is given back."""

        def work(connection: Connection) -> str:
            connection.execute(_BEGIN_LOG, {"run": run_id, "found": baseline})
            return connection.execute(_BASELINE, {"run": run_id}).scalar_one()

        return await self._db.write(work)

    async def sharing(self, run_id: str) -> list[str]:
        """Runs that were accepted earlier, are not over, and work in the same directory."""
        return await self._db.read(lambda connection: list(connection.execute(_SHARING, {"run": run_id}).scalars()))

    async def has_thread(self, thread_id: str) -> bool:
        """Whether a run belongs to the thread."""
        return bool(await self._ids(select(runs.c.id).where(runs.c.thread_id == thread_id, _CONFIRMED).limit(1)))

    async def unsettled(self, older_than: int) -> list[str]:
        """Runs whose start has had no known outcome since before `older_than`."""
        return await self._ids(select(runs.c.id).where(runs.c.confirmed.is_(False), runs.c.created_at < older_than))

    async def active(self) -> list[str]:
        """Confirmed runs that are not over."""
        return await self._ids(select(runs.c.id).where(_CONFIRMED, _LIVE))

    async def count_by_status(self) -> Mapping[str, int]:
        """How many runs are in each status, as the workflows last said."""
        query = select(runs.c.status, func.count()).where(_CONFIRMED).group_by(runs.c.status)
        return await self._db.read(lambda connection: {row[0]: row[1] for row in connection.execute(query).all()})

    async def expire_keys(self, older_than: int) -> None:
        """Forget idempotency keys from before `older_than`."""
        query = delete(idempotency).where(idempotency.c.created_at < older_than)
        await self._db.write(lambda connection: connection.execute(query))

    async def _ids(self, query: Select[str]) -> list[str]:
        return await self._db.read(lambda connection: list(connection.execute(query).scalars()))


def _known(connection: Connection, new: NewRun) -> RunRow | None:
    if new.idempotency_key is None:
        return None
    query = select(idempotency).where(idempotency.c.key == new.idempotency_key)
    found = connection.execute(query).mappings().first()
    if found is None:
        return None
    if found["fingerprint"] != new.fingerprint:
        raise KeyReused(new.idempotency_key)
    return _fetch(connection, found["run_id"])  # none if both were forgotten between two looks of PostgreSQL's


def _after_its_thread(connection: Connection, new: NewRun) -> int:
    """When the run counts as accepted: after every other run of its thread, which are over, whatever clocks say."""
    if not new.joins_thread:
        return new.created_at
    there = select(runs).where(runs.c.thread_id == new.thread_id)
    if busy := connection.execute(there.where(runs.c.finished_at.is_(None))).mappings().first():
        raise ThreadBusy(busy["id"])
    newest: int | None = connection.execute(there.with_only_columns(func.max(runs.c.created_at))).scalar_one()
    return new.created_at if newest is None else max(new.created_at, newest + 1)


def _page(connection: Connection, filters: Filters, before: tuple[int, str] | None) -> list[RunRow]:
    query = select(runs).where(_CONFIRMED).order_by(runs.c.created_at.desc(), runs.c.id.desc())
    if filters.epic_id is not None:
        query = query.where(runs.c.epic_id == filters.epic_id)
    if filters.agent is not None:
        query = query.where(runs.c.agent == filters.agent)
    if filters.status is not None:
        controlled = runs.c.id.in_(select(controls.c.run_id))
        query = query.where(or_(runs.c.status == filters.status, controlled))
    if before is not None:
        at, run_id = before
        query = query.where(or_(runs.c.created_at < at, and_(runs.c.created_at == at, runs.c.id < run_id)))
    rows = connection.execute(query.limit(filters.limit + 1)).mappings().all()
    waiting = pending(connection, [row["id"] for row in rows])
    return [RunRow(row, waiting.get(row["id"], ())) for row in rows]


def _fetch(connection: Connection, run_id: str) -> RunRow | None:
    row = connection.execute(_BY_ID, {"run": run_id}).mappings().first()
    return None if row is None else RunRow(row, pending(connection, [run_id]).get(run_id, ()))


def _changed(change: RunChange) -> dict[str, Any]:
    values: dict[str, Any] = {
        "status": change.status, "version": change.version, "updated_at": change.at, "confirmed": True,
    }  # fmt: skip
    if change.started_at is not None:
        values["started_at"] = change.started_at
    if change.error is not None:
        values["error"] = change.error.model_dump_json()
    if change.completion is not None:
        values["completion"] = change.completion.model_dump_json()
    if change.status in ENDED:
        values |= {"finished_at": change.at, "pid": None}
    return values


def _words(change: RunChange) -> list[dict[str, Any]]:
    return [
        {
            "run_id": change.run_id, "number": word.number, "type": word.type, "at": word.at,
            "payload": json.dumps(word.payload),
        }
        for word in change.words
    ]  # fmt: skip


def _columns(new: NewRun, created_at: int) -> dict[str, Any]:
    request = new.request
    return {
        "id": new.run_id, "kind": new.kind, "status": "queued", "confirmed": False, "version": 0,
        "epic_id": request.epic_id if isinstance(request, ContinuousRunRequest) else None,
        "agent": request.agent.kind, "model": request.agent.model_name, "working_dir": request.working_dir,
        "thread_id": new.thread_id, "created_at": created_at, "updated_at": created_at,
        "current_turn": 0, "attempt": 0, "turns": 0, "tokens": 0, "prompt_tokens": 0, "completion_tokens": 0,
        "cursor_seq": 0, "request": request.model_dump_json(),
        "trace_context": new.trace_context.model_dump_json(),
    }  # fmt: skip

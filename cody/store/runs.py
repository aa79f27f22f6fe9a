"""The runs: accepted, recorded by the workflow, advanced by the projector, listed."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import RowMapping, and_, delete, func, or_, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from cody.contract.errors import ErrorInfo
from cody.contract.events import TraceContext
from cody.contract.lifecycle import ENDED, RunStatus, transition
from cody.contract.payloads import CompletionVerdict
from cody.contract.requests import ContinuousRunRequest, SingleRunRequest, canonical
from cody.contract.runs import Links, RunKind, Snapshot, Stats
from cody.store.controls import Control, pending
from cody.store.database import Database
from cody.store.tables import controls, idempotency, runs

AnyRequest = ContinuousRunRequest | SingleRunRequest


class KeyReused(Exception):
    """The idempotency key came with another body before."""


class Overtaken(Exception):
    """A cancel was accepted before the run's other end was recorded."""


@dataclass(frozen=True)
class NewRun:
    """A run as it is accepted."""

    run_id: str
    kind: RunKind
    thread_id: str
    created_at: int
    request: AnyRequest
    trace_context: TraceContext
    idempotency_key: str | None = None

    @property
    def fingerprint(self) -> str:
        """What the same request with the same defaults always gives."""
        body = json.dumps([self.kind, canonical(self.request)], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(body.encode()).hexdigest()


@dataclass(frozen=True)
class RunRow:
    """A run as it is kept, and the controls that its workflow has not taken notice of yet."""

    row: RowMapping
    pending: Sequence[Control] = ()

    @property
    def run_id(self) -> str:
        """The id."""
        return self.row["id"]

    @property
    def kind(self) -> RunKind:
        """Continuous or single."""
        return self.row["kind"]

    @property
    def request(self) -> AnyRequest:
        """What the client asked for."""
        model = ContinuousRunRequest if self.kind == "continuous" else SingleRunRequest
        return model.model_validate_json(self.row["request"])

    @property
    def trace_context(self) -> TraceContext:
        """The trace of the request that started the run."""
        return TraceContext.model_validate_json(self.row["trace_context"])

    @property
    def status(self) -> RunStatus:
        """What the workflow last said, and on top of it what was accepted since."""
        status: RunStatus = self.row["status"]
        for control in self.pending:
            status = transition(status, control.action) or status
        return status

    def snapshot(self, links: Links) -> Snapshot:
        """The run as the API shows it."""
        row, request = self.row, self.request
        continuous = isinstance(request, ContinuousRunRequest)
        return Snapshot(
            run_id=self.run_id, kind=self.kind, status=self.status, epic_id=row["epic_id"], agent=row["agent"],
            model=row["model"], working_dir=row["working_dir"], thread_id=row["thread_id"],
            created_at=row["created_at"], started_at=row["started_at"], updated_at=row["updated_at"],
            finished_at=row["finished_at"], current_turn=row["current_turn"], attempt=row["attempt"], pid=row["pid"],
            stats=Stats(
                turns=row["turns"], tokens=row["tokens"], prompt_tokens=row["prompt_tokens"],
                completion_tokens=row["completion_tokens"],
            ),
            completion=CompletionVerdict.model_validate_json(row["completion"] or "{}"),
            error=ErrorInfo.model_validate_json(row["error"]) if row["error"] else None,
            budget=request.budget.model_dump(exclude_none=True) or None if continuous else None,
            metadata=request.metadata if continuous else {},
            cursor=row["cursor"], links=links,
        )  # fmt: skip


@dataclass(frozen=True)
class RunChange:
    """What the workflow records: its state after the lifecycle event numbered `version`."""

    run_id: str
    version: int
    status: RunStatus
    at: int
    applied_control: int
    started_at: int | None = None
    error: ErrorInfo | None = None
    completion: CompletionVerdict | None = None


@dataclass(frozen=True)
class Filters:
    """What to list; `before` is the (created_at, id) that the page before ended with."""

    status: RunStatus | None = None
    epic_id: str | None = None
    agent: str | None = None
    before: tuple[int, str] | None = None
    limit: int = 20


class RunStore:
    """The rows of `runs`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def accept(self, new: NewRun) -> tuple[RunRow, bool]:
        """Keep a run before its workflow is started; gives the row and whether it is new.

        With an idempotency key that is known the same run comes back; KeyReused if its body was another.
        """
        try:
            async with self._db.write() as connection:
                if new.idempotency_key is not None and (known := await self._known(connection, new)):
                    return known, False
                await connection.execute(runs.insert().values(**_columns(new)))
                if new.idempotency_key is not None:
                    await connection.execute(
                        idempotency.insert().values(
                            key=new.idempotency_key, fingerprint=new.fingerprint, run_id=new.run_id,
                            created_at=new.created_at,
                        )
                    )  # fmt: skip
                return await _require(connection, new.run_id), True
        except IntegrityError:
            # PostgreSQL lets two simultaneous duplicates come this far; the key has been taken by the other one.
            async with self._db.read() as connection:
                known = await self._known(connection, new)
            if known is None:
                raise
            return known, False

    async def _known(self, connection: AsyncConnection, new: NewRun) -> RunRow | None:
        query = select(idempotency).where(idempotency.c.key == new.idempotency_key)
        found = (await connection.execute(query)).mappings().first()
        if found is None:
            return None
        if found["fingerprint"] != new.fingerprint:
            raise KeyReused(new.idempotency_key)
        return await _require(connection, found["run_id"])

    async def confirm(self, run_id: str) -> None:
        """The workflow exists: list the run from now on."""
        async with self._db.write() as connection:
            await connection.execute(update(runs).where(runs.c.id == run_id).values(confirmed=True))

    async def forget(self, run_id: str) -> None:
        """The workflow was never started, and nobody was answered: drop the run and its key."""
        async with self._db.write() as connection:
            await connection.execute(delete(runs).where(runs.c.id == run_id, runs.c.confirmed.is_(False)))

    async def get(self, run_id: str, *, unconfirmed: bool = False) -> RunRow | None:
        """A run, if there is one."""
        async with self._db.read() as connection:
            row = await _fetch(connection, run_id)
        return row if row is not None and (row.row["confirmed"] or unconfirmed) else None

    async def page(self, filters: Filters) -> list[RunRow]:
        """A page of runs, newest first; one more than asked for, so that the caller sees whether there is a next."""
        conditions: list[Any] = [runs.c.confirmed.is_(True)]
        if filters.epic_id is not None:
            conditions.append(runs.c.epic_id == filters.epic_id)
        if filters.agent is not None:
            conditions.append(runs.c.agent == filters.agent)
        rows: list[RunRow] = []
        before = filters.before
        async with self._db.read() as connection:
            while len(rows) <= filters.limit:
                found = await self._page(connection, conditions, filters, before)
                # What was accepted since counts too, and only the row's pending controls tell: so filter here again.
                rows.extend(row for row in found if filters.status in (None, row.status))
                if len(found) <= filters.limit:
                    break
                before = (found[-1].row["created_at"], found[-1].run_id)
        return rows[: filters.limit + 1]

    async def _page(
        self, connection: AsyncConnection, conditions: Sequence[Any], filters: Filters, before: tuple[int, str] | None
    ) -> Sequence[RunRow]:
        query = select(runs).where(*conditions).order_by(runs.c.created_at.desc(), runs.c.id.desc())
        if filters.status is not None:
            controlled = select(controls.c.run_id)
            query = query.where(or_(runs.c.status == filters.status, runs.c.id.in_(controlled)))
        if before is not None:
            at, run_id = before
            query = query.where(or_(runs.c.created_at < at, and_(runs.c.created_at == at, runs.c.id < run_id)))
        rows = (await connection.execute(query.limit(filters.limit + 1))).mappings().all()
        waiting = await pending(connection, [row["id"] for row in rows])
        return [RunRow(row, waiting.get(row["id"], ())) for row in rows]

    async def record(self, change: RunChange) -> RunRow | None:
        """Write the workflow's state down, unless a later one is there already; None if the run is unknown.

        Raises Overtaken, and changes nothing, if the run would end although a cancel was accepted in the meantime.
        """
        async with self._db.write() as connection:
            run = await _fetch(connection, change.run_id)
            if run is None:
                return None
            over = run.row["status"] in ENDED
            if not over and change.status in {"completed", "failed"}:
                for control in run.pending:
                    if control.action == "cancel" and control.id > change.applied_control:
                        raise Overtaken(change.run_id)
            if not over and change.version > run.row["version"]:
                this = runs.c.id == change.run_id
                await connection.execute(update(runs).where(this).values(**_changed(change)))
            applied = controls.c.id <= change.applied_control if change.status not in ENDED else true()
            await connection.execute(delete(controls).where(controls.c.run_id == change.run_id, applied))
            return run

    async def begin_log(self, run_id: str, baseline: str) -> str:
        """Keep what the completion log held when the run began; the first one told stays, and is given back."""
        async with self._db.write() as connection:
            first = and_(runs.c.id == run_id, runs.c.baseline.is_(None))
            await connection.execute(update(runs).where(first).values(baseline=baseline))
            return (await connection.execute(select(runs.c.baseline).where(runs.c.id == run_id))).scalar_one()

    async def sharing(self, run_id: str) -> list[str]:
        """Runs that were accepted earlier, are not over, and work in the same directory."""
        mine = select(runs.c.working_dir, runs.c.created_at).where(runs.c.id == run_id).subquery()
        query = select(runs.c.id).where(
            runs.c.working_dir == mine.c.working_dir, runs.c.id != run_id, runs.c.confirmed.is_(True),
            runs.c.status.not_in(sorted(ENDED)),
            or_(
                runs.c.created_at < mine.c.created_at,
                and_(runs.c.created_at == mine.c.created_at, runs.c.id < run_id),
            ),
        )  # fmt: skip
        async with self._db.read() as connection:
            return list((await connection.execute(query)).scalars())

    async def has_thread(self, thread_id: str) -> bool:
        """Whether a run belongs to the thread."""
        query = select(runs.c.id).where(runs.c.thread_id == thread_id, runs.c.confirmed.is_(True)).limit(1)
        async with self._db.read() as connection:
            return (await connection.execute(query)).first() is not None

    async def unsettled(self, older_than: int) -> list[str]:
        """Runs whose start has had no known outcome since before `older_than`."""
        query = select(runs.c.id).where(runs.c.confirmed.is_(False), runs.c.created_at < older_than)
        async with self._db.read() as connection:
            return list((await connection.execute(query)).scalars())

    async def active(self) -> list[str]:
        """Confirmed runs that are not over."""
        query = select(runs.c.id).where(runs.c.confirmed.is_(True), runs.c.status.not_in(sorted(ENDED)))
        async with self._db.read() as connection:
            return list((await connection.execute(query)).scalars())

    async def count_by_status(self) -> Mapping[str, int]:
        """How many runs are in each status, as the workflows last said."""
        query = select(runs.c.status, func.count()).where(runs.c.confirmed.is_(True)).group_by(runs.c.status)
        async with self._db.read() as connection:
            return {row[0]: row[1] for row in (await connection.execute(query)).all()}

    async def expire_keys(self, older_than: int) -> None:
        """Forget idempotency keys from before `older_than`."""
        async with self._db.write() as connection:
            await connection.execute(delete(idempotency).where(idempotency.c.created_at < older_than))


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


async def _fetch(connection: AsyncConnection, run_id: str) -> RunRow | None:
    row = (await connection.execute(select(runs).where(runs.c.id == run_id))).mappings().first()
    if row is None:
        return None
    return RunRow(row, (await pending(connection, [run_id])).get(run_id, ()))


async def _require(connection: AsyncConnection, run_id: str) -> RunRow:
    row = await _fetch(connection, run_id)
    if row is None:
        raise LookupError(f"run {run_id} is gone")
    return row


def _columns(new: NewRun) -> dict[str, Any]:
    request = new.request
    return {
        "id": new.run_id, "kind": new.kind, "status": "queued", "confirmed": False, "version": 0,
        "epic_id": request.epic_id if isinstance(request, ContinuousRunRequest) else None,
        "agent": request.agent.kind, "model": request.agent.model_name, "working_dir": request.working_dir,
        "thread_id": new.thread_id, "created_at": new.created_at, "updated_at": new.created_at,
        "current_turn": 0, "attempt": 0, "turns": 0, "tokens": 0, "prompt_tokens": 0, "completion_tokens": 0,
        "cursor_seq": 0, "request": cast("Any", request).model_dump_json(),
        "trace_context": new.trace_context.model_dump_json(),
    }  # fmt: skip

"""The responses: one header row each, and their items, saved together with the cursor that they were folded up to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from cody.contract.cursor import Cursor
from cody.contract.responses import Response
from cody.fold import Changes, Checkpoint, Tokens
from cody.store.database import Database
from cody.store.items import ItemRows, items_of
from cody.store.locks import lock_run
from cody.store.tables import responses, runs

_BY_ID = select(responses).where(responses.c.id == bindparam("response"))
_CHECKPOINT = select(responses.c.checkpoint).where(responses.c.id == bindparam("response"))
_ADVANCE = (
    update(runs)
    .where(runs.c.id == bindparam("new_run"), runs.c.cursor_seq < bindparam("new_seq"))
    .values(
        cursor_seq=bindparam("new_seq"), cursor=bindparam("new_at"), updated_at=bindparam("new_now"),
        current_turn=bindparam("new_turn"), attempt=bindparam("new_attempt"), pid=bindparam("new_pid"),
        turns=runs.c.turns + bindparam("new_done"),
        tokens=runs.c.tokens + bindparam("new_total"),
        prompt_tokens=runs.c.prompt_tokens + bindparam("new_prompt"),
        completion_tokens=runs.c.completion_tokens + bindparam("new_completion"),
    )
)  # fmt: skip
"""Moves the run's figures by what a save adds, so that a replayed event adds nothing."""
_BEGAN = (responses.c.created_at, responses.c.run_id, responses.c.turn)


@dataclass(frozen=True)
class Projection:
    """What a projector saves in one transaction; `header` is the response without its items."""

    run_id: str
    turn: int
    header: Response
    checkpoint: Checkpoint
    changes: Changes
    pid: int | None
    at: int


class ResponseStore:
    """The rows of `responses` and `items`, and the figures of the run that follow from them."""

    def __init__(self, database: Database) -> None:
        self._db = database
        header = database.insert(responses)
        told = {name: header.excluded[name] for name in ("cursor_seq", "header", "checkpoint")}
        self._header = header.on_conflict_do_update(index_elements=["id"], set_=told)
        self._items = ItemRows(database)

    async def save(self, projection: Projection) -> bool:
        """Save, unless what is saved is at the same place or further: a projector that was replaced changes nothing."""
        cursor = Cursor.parse(projection.checkpoint.cursor)

        def work(connection: Connection) -> bool:
            lock_run(connection, projection.run_id)
            before = _saved(connection, projection.header.id)
            if before is not None and Cursor.parse(before.cursor).seq >= cursor.seq:
                return False
            self._save_header(connection, projection, cursor)
            self._items.save(connection, projection.header.id, projection.changes)
            _advance_run(connection, projection, before, cursor)
            return True

        return await self._db.write(work)

    def _save_header(self, connection: Connection, projection: Projection, cursor: Cursor) -> None:
        header = projection.header
        values = {
            "id": header.id, "run_id": projection.run_id, "turn": projection.turn, "thread_id": header.thread_id,
            "created_at": header.created_at, "cursor_seq": cursor.seq,
            "header": header.model_dump_json(exclude={"output_items"}),
            "checkpoint": projection.checkpoint.model_dump_json(),
        }  # fmt: skip
        connection.execute(self._header, values)

    async def load(self, response_id: str) -> tuple[Response, Checkpoint] | None:
        """What a projector goes on from."""

        def work(connection: Connection) -> tuple[Response, Checkpoint] | None:
            row = connection.execute(_BY_ID, {"response": response_id}).mappings().first()
            if row is None:
                return None
            (response,) = whole(connection, [row])
            return response, Checkpoint.model_validate_json(row["checkpoint"])

        return await self._db.read(work)

    async def get(self, response_id: str) -> Response | None:
        """One response."""
        return next(iter(await self._select(responses.c.id == response_id, _BEGAN)), None)

    async def of_run(self, run_id: str) -> list[Response]:
        """A run's responses in turn order, whatever the clocks of its workers said."""
        return await self._select(responses.c.run_id == run_id, (responses.c.turn,))

    async def _select(self, condition: Any, order: Sequence[Any]) -> list[Response]:
        def work(connection: Connection) -> list[Response]:
            rows = connection.execute(select(responses).where(condition).order_by(*order)).mappings().all()
            return whole(connection, rows)

        return await self._db.read(work)

    async def replace(self, run_id: str, documents: Sequence[tuple[Response, Checkpoint]]) -> None:
        """Put documents that were folded anew in the place of what is saved."""

        def work(connection: Connection) -> None:
            lock_run(connection, run_id)
            connection.execute(delete(responses).where(responses.c.run_id == run_id))
            for response, checkpoint in documents:
                changes = Changes(emptied=True, items=list(enumerate(response.output_items)))
                projection = Projection(run_id, response.turn, response, checkpoint, changes, None, response.updated_at)
                self._save_header(connection, projection, Cursor.parse(checkpoint.cursor))
                self._items.save(connection, response.id, changes)

        await self._db.write(work)


def _saved(connection: Connection, response_id: str) -> Checkpoint | None:
    text = connection.execute(_CHECKPOINT, {"response": response_id}).scalar_one_or_none()
    return None if text is None else Checkpoint.model_validate_json(text)


def whole(connection: Connection, rows: Sequence[Any]) -> list[Response]:
    """The responses that these rows head, with their items."""
    found = items_of(connection, [row["id"] for row in rows])
    return [
        Response.model_validate_json(row["header"]).model_copy(update={"output_items": tuple(found.get(row["id"], ()))})
        for row in rows
    ]


def _advance_run(connection: Connection, projection: Projection, before: Checkpoint | None, cursor: Cursor) -> None:
    old, new = before or Checkpoint(cursor="0-0"), projection.checkpoint
    told, tells = old.tally.total if before else Tokens(), new.tally.total
    values = {
        "new_run": projection.run_id, "new_seq": cursor.seq, "new_at": str(cursor), "new_now": projection.at,
        "new_turn": projection.turn, "new_attempt": new.attempt, "new_pid": projection.pid,
        "new_done": _completed(new) - _completed(old),
        "new_total": tells.total_tokens - told.total_tokens,
        "new_prompt": tells.prompt_tokens - told.prompt_tokens,
        "new_completion": tells.completion_tokens - told.completion_tokens,
    }  # fmt: skip
    connection.execute(_ADVANCE, values)


def _completed(checkpoint: Checkpoint) -> int:
    return int(checkpoint.ended is not None and checkpoint.ended.type == "turn_completed")

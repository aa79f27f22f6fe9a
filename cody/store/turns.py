"""What is kept of each attempt beside its response: the prompt it got, what it left, and its whole output."""

import json
import zlib
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, func, select, update

from cody.store.database import Database
from cody.store.tables import outputs, prompts

_PLACE = and_(
    prompts.c.run_id == bindparam("of_run"),
    prompts.c.turn == bindparam("of_turn"),
    prompts.c.attempt == bindparam("of_attempt"),
)
_OWNER = select(prompts.c.owner).where(_PLACE)
_REPORT = update(prompts).where(_PLACE).values(report=bindparam("said"))


class TurnStore:
    """The rows of `prompts` and `outputs`."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._claim = database.insert(prompts).on_conflict_do_nothing()

    async def claim(self, run_id: str, turn: int, attempt: int, owner: str, prompt: str) -> bool:
        """Take an attempt for one execution and keep its prompt; False if another execution has it.

        Two executions can believe in the same number only when a worker was lost without a word; the fence of the log
        could not tell them apart.
        """
        values = {"run_id": run_id, "turn": turn, "attempt": attempt, "owner": owner, "text": prompt}

        def work(connection: Connection) -> bool:
            if connection.execute(self._claim, values).rowcount:
                return True
            return connection.execute(_OWNER, _place(run_id, turn, attempt)).scalar_one() == owner

        return await self._db.write(work)

    async def keep_report(self, run_id: str, turn: int, attempt: int, report: str) -> None:
        """Keep what an attempt that did its turn reports, before the log says so."""
        values = {**_place(run_id, turn, attempt), "said": report}
        await self._db.write(lambda connection: connection.execute(_REPORT, values))

    async def keep_carry(self, run_id: str, turn: int, attempt: int, carry: Mapping[str, Any]) -> None:
        """Keep what an attempt left for whoever does the thread's next turn, however it ended."""
        place = and_(prompts.c.run_id == run_id, prompts.c.turn == turn, prompts.c.attempt == attempt)
        query = update(prompts).where(place).values(carry=json.dumps(carry))
        await self._db.write(lambda connection: connection.execute(query))

    async def report(self, run_id: str, turn: int) -> str | None:
        """The newest report of a turn."""
        done = and_(prompts.c.run_id == run_id, prompts.c.turn == turn, prompts.c.report.is_not(None))
        query = select(prompts.c.report).where(done).order_by(prompts.c.attempt.desc()).limit(1)
        return await self._db.read(lambda connection: connection.execute(query).scalar_one_or_none())

    async def prompt(self, run_id: str, turn: int, attempt: int | None) -> str | None:
        """The prompt of an attempt, the newest unless told."""
        place = and_(prompts.c.run_id == run_id, prompts.c.turn == turn)
        query = select(prompts.c.text).where(place).order_by(prompts.c.attempt.desc()).limit(1)
        if attempt is not None:
            query = query.where(prompts.c.attempt == attempt)
        return await self._db.read(lambda connection: connection.execute(query).scalar_one_or_none())

    async def keep_output(self, run_id: str, turn: int, attempt: int, part: int, data: bytes) -> None:
        """Keep the next part of an attempt's output; a part that is there already stays."""
        row = self._db.insert(outputs).values(
            run_id=run_id, turn=turn, attempt=attempt, part=part, data=zlib.compress(data, 1)
        )
        await self._db.write(lambda connection: connection.execute(row.on_conflict_do_nothing()))

    async def newest_attempt(self, run_id: str, turn: int) -> int | None:
        """The newest attempt of a turn that left a prompt, which is every one that began."""
        query = select(func.max(prompts.c.attempt)).where(prompts.c.run_id == run_id, prompts.c.turn == turn)
        return await self._db.read(lambda connection: connection.execute(query).scalar_one_or_none())

    async def output(self, run_id: str, turn: int, attempt: int) -> AsyncIterator[bytes]:
        """An attempt's output, part by part."""
        part = 0
        while True:
            query = select(outputs.c.data).where(
                outputs.c.run_id == run_id, outputs.c.turn == turn, outputs.c.attempt == attempt, outputs.c.part == part
            )
            data = await self._db.read(partial(_scalar, query))
            if data is None:
                return
            yield zlib.decompress(data)
            part += 1


def _place(run_id: str, turn: int, attempt: int) -> dict[str, Any]:
    return {"of_run": run_id, "of_turn": turn, "of_attempt": attempt}


def _scalar(query: Select[bytes], connection: Connection) -> bytes | None:
    return connection.execute(query).scalar_one_or_none()

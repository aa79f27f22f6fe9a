"""The threads: what the turns of one or more runs have asked and been answered, in order."""

import json
from typing import Any

from sqlalchemy import Connection, and_, func, select, tuple_

from cody.contract.responses import Response
from cody.contract.threads import Exchange
from cody.store.database import Database
from cody.store.responses import whole
from cody.store.tables import prompts, responses, runs


class ThreadStore:
    """The rows of `responses` and `prompts`, by thread."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def responses(self, thread_id: str) -> list[Response]:
        """A thread's responses: runs in the order they were accepted, each run's in turn order."""
        return [exchange.response for exchange in await self.exchanges(thread_id)]

    async def exchanges(self, thread_id: str, *, but: tuple[str, int] | None = None) -> list[Exchange]:
        """Each response with the prompt that its newest attempt got, without the turn `but` (run id, turn)."""

        def work(connection: Connection) -> list[Exchange]:
            rows = connection.execute(query).mappings().all()
            return [
                Exchange(prompt=row["text"] or "", response=response)
                for row, response in zip(rows, whole(connection, rows), strict=True)
            ]

        each = prompts.alias()
        newest = (
            select(func.max(each.c.attempt))
            .where(each.c.run_id == responses.c.run_id, each.c.turn == responses.c.turn)
            .scalar_subquery()
        )
        prompt = and_(
            prompts.c.run_id == responses.c.run_id, prompts.c.turn == responses.c.turn, prompts.c.attempt == newest
        )
        query = (
            select(responses, prompts.c.text)
            .join(runs, runs.c.id == responses.c.run_id)
            .outerjoin(prompts, prompt)
            .where(responses.c.thread_id == thread_id)
            .order_by(runs.c.created_at, runs.c.id, responses.c.turn)
        )
        if but is not None:
            query = query.where(~and_(responses.c.run_id == but[0], responses.c.turn == but[1]))
        return await self._db.read(work)

    async def carry(self, thread_id: str, *, agent: str, working_dir: str | None) -> dict[str, Any]:
        """What the thread's newest turn left that left anything, if it fits an agent of this kind in this directory.

        Empty where another kind of agent has had a turn since: an agent's own session knows nothing of that.
        """

        def work(connection: Connection) -> dict[str, Any]:
            left = connection.execute(newest).mappings().first()
            if left is None or (left["agent"], left["working_dir"]) != (agent, working_dir):
                return {}
            since = tuple_(runs.c.created_at, runs.c.id) > (left["created_at"], left["id"])
            others = of_thread.where(runs.c.agent != agent, since).limit(1)
            return {} if connection.execute(others).first() else json.loads(left["carry"])

        of_thread = select(runs.c.id).join(prompts, prompts.c.run_id == runs.c.id).where(runs.c.thread_id == thread_id)
        newest = (
            of_thread.add_columns(runs.c.agent, runs.c.working_dir, runs.c.created_at, prompts.c.carry)
            .where(prompts.c.carry.is_not(None))
            .order_by(runs.c.created_at.desc(), runs.c.id.desc(), prompts.c.turn.desc(), prompts.c.attempt.desc())
            .limit(1)
        )
        return await self._db.read(work)

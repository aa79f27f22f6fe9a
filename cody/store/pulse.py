"""Whether the database takes a write: a row of each process that asks."""

import secrets

from sqlalchemy import Connection, and_, delete

from cody.clock import now_ms
from cody.store.database import Database
from cody.store.tables import pulses

_FORGOTTEN_MS = 3600 * 1000


class Pulse:
    """One row of `pulses`, so that processes do not wait for each other's."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._process = secrets.token_hex(8)

    async def beat(self) -> None:
        """Write and commit the row. Raises DatabaseGone if the database is away, read-only, full or locked."""
        at = now_ms()
        row = self._db.insert(pulses).values(process=self._process, at=at)
        write = row.on_conflict_do_update(index_elements=["process"], set_={"at": at})
        stale = and_(pulses.c.at < at - _FORGOTTEN_MS, pulses.c.process != self._process)

        def work(connection: Connection) -> None:
            connection.execute(write)
            connection.execute(delete(pulses).where(stale))

        await self._db.write(work)

"""PostgreSQL by asyncpg, and which of its many errors mean that it is away."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from cody.store.away import PostgresAway

T = TypeVar("T")
Work = Callable[[Connection], T]

CONNECTIONS = 10
"""Of one process; who finds all of them in use waits for one."""
_CONNECT_SECONDS = 10.0
_PATIENCE_SECONDS = 30.0
"""For a whole transaction, with its wait for a connection: a server that is frozen says nothing at all."""
_SERVER_SETTINGS = {
    "application_name": "cody",
    "lock_timeout": "15s",
    # A process that was frozen in a transaction gives its locks back, and finds its connection closed when it wakes.
    "idle_in_transaction_session_timeout": "10s",
}

_AWAY = (
    "08",  # the connection
    "28",  # who we are
    "3D",  # the database is not there
    "40",  # rolled back: a deadlock, a failover
    "53",  # no room: connections, disk, memory
    "55P03",  # a lock that was not free in time
    "57",  # shutting down, starting up, told to stop
    "58",  # its disk
    "25006",  # read-only: a standby, or a primary that was told to hold still
    "25P03",  # we were too long between two statements
)
"""SQLSTATEs (PostgreSQL's appendix A), by their beginnings, after which the same may succeed later."""


class Postgres:
    """Transactions as plain functions of a connection."""

    def __init__(self, url: str) -> None:
        self._writing = _engine(url)
        # Several statements, one look: what is written between them is not seen. This takes no lock and never fails.
        self._reading = self._writing.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    async def read(self, work: Work[T]) -> T:
        """Do `work` on a snapshot."""
        return await self._transact(self._reading, work, _PATIENCE_SECONDS)

    async def write(self, work: Work[T]) -> T:
        """Do `work` and commit; each statement sees what others have committed by then."""
        return await self._transact(self._writing, work, _PATIENCE_SECONDS)

    async def rebuild(self, work: Work[T]) -> T:
        """As `write`, however long it takes."""
        return await self._transact(self._writing, work, None)

    async def close(self) -> None:
        """Close all connections."""
        await self._writing.dispose()

    async def _transact(self, engine: AsyncEngine, work: Work[T], patience_seconds: float | None) -> T:
        with _telling_away():
            async with asyncio.timeout(patience_seconds), engine.begin() as connection:
                return await connection.run_sync(work)


def _engine(url: str) -> AsyncEngine:
    given = make_url(url)
    query = dict(given.query)
    if mode := query.pop("sslmode", None):
        query["ssl"] = mode  # libpq's name for it is what everybody has in their URLs
    return create_async_engine(
        given.set(drivername="postgresql+asyncpg", query=query),
        pool_pre_ping=True,
        pool_size=CONNECTIONS,
        max_overflow=0,
        connect_args={"timeout": _CONNECT_SECONDS, "server_settings": _SERVER_SETTINGS},
    )


@contextmanager
def _telling_away() -> Generator[None]:
    try:
        yield
    except DBAPIError as error:
        if error.connection_invalidated or _state(error).startswith(_AWAY):
            raise PostgresAway(str(error.orig)) from error
        raise
    except TimeoutError as error:
        raise PostgresAway("no answer in time") from error
    except (OSError, PoolTimeout) as error:
        raise PostgresAway(str(error)) from error


def _state(error: DBAPIError) -> str:
    """Its SQLSTATE; empty if it was not the server that complained."""
    told: Any = error.orig
    return getattr(told, "sqlstate", None) or ""

"""One database, SQLite or PostgreSQL, and its two kinds of transaction."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.schema import Table
from sqlalchemy.util import await_only

DatabaseGone = (OperationalError, InterfaceError, ConnectionError)
"""The database is away or busy beyond patience: worth trying again."""

__all__ = ["DBAPIError", "Database", "DatabaseGone"]

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
_BUSY_SECONDS = 30.0
_POLL_SECONDS = 0.001
_READERS = 4
"""Connections that read; each is a thread, and SQLite's readers are quick."""


class Database:
    """An engine with `read` and `write` transactions; one per process."""

    def __init__(self, url: str) -> None:
        scheme, _, rest = url.partition("://")
        self.is_sqlite = scheme == "sqlite"
        address = f"{_DRIVERS[scheme]}://{rest}"
        if not self.is_sqlite:
            self._readers = self._writers = create_async_engine(address, pool_pre_ping=True)
            return
        self._readers = _sqlite(address, _BUSY_SECONDS, _begin, _READERS)
        # SQLite has one writer. Within the process waiting for it is a lock; between processes its own busy handler
        # sleeps up to 100 ms at a time, so a writer asks for itself, and often.
        self._one_writer = asyncio.Lock()
        self._writers = _sqlite(address, 0, _begin_writing, 1)

    def insert(self, table: Table) -> Any:
        """An INSERT with the dialect's ON CONFLICT, which both have in the same form."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncConnection]:
        """A consistent look."""
        async with self._readers.begin() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction that takes SQLite's write lock at its start, so that what it reads stays true."""
        if not self.is_sqlite:
            async with self._writers.begin() as connection:
                yield connection
            return
        async with self._one_writer, self._writers.begin() as connection:
            yield connection

    async def ping(self) -> None:
        """Raise DatabaseGone if the database does not answer."""
        async with self.read() as connection:
            await connection.exec_driver_sql("SELECT 1")

    async def close(self) -> None:
        """Close all connections."""
        await self._readers.dispose()
        await self._writers.dispose()


def _sqlite(address: str, busy_seconds: float, begin: Any, connections: int) -> AsyncEngine:
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the BEGIN of `begin` is the only one
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.execute(f"PRAGMA busy_timeout={int(busy_seconds * 1000)}")
        cursor.close()

    # The first connection of all turns WAL on, for which it may have to wait whatever it is for.
    engine = create_async_engine(
        address,
        connect_args={"timeout": _BUSY_SECONDS},
        pool_size=connections,
        max_overflow=0,
        pool_timeout=_BUSY_SECONDS,
    )
    event.listen(engine.sync_engine, "connect", prepare)
    event.listen(engine.sync_engine, "begin", begin)
    return engine


def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN")


def _begin_writing(connection: Any) -> None:
    deadline = monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except OperationalError as error:
            if "locked" not in str(error.orig) or monotonic() > deadline:
                raise
        else:
            return
        await_only(asyncio.sleep(_POLL_SECONDS))

"""One database, SQLite or PostgreSQL, and its two kinds of transaction."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.schema import Table

DatabaseGone = (OperationalError, InterfaceError, ConnectionError)
"""The database is away or busy beyond patience: worth trying again."""

__all__ = ["DBAPIError", "Database", "DatabaseGone"]

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
_BUSY_SECONDS = 30


class Database:
    """An engine with `read` and `write` transactions; one per process."""

    def __init__(self, url: str) -> None:
        scheme, _, rest = url.partition("://")
        self.engine: AsyncEngine = create_async_engine(
            f"{_DRIVERS[scheme]}://{rest}",
            pool_pre_ping=scheme != "sqlite",
            connect_args={"timeout": _BUSY_SECONDS} if scheme == "sqlite" else {},
        )
        self.is_sqlite = scheme == "sqlite"
        # SQLite has one writer: waiting here is fair and cheap, its own busy handler sleeps and polls.
        self._one_writer = asyncio.Lock()
        if self.is_sqlite:
            event.listen(self.engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)

    def insert(self, table: Table) -> Any:
        """An INSERT with the dialect's ON CONFLICT, which both have in the same form."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncConnection]:
        """A consistent look."""
        async with self.engine.connect() as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction that takes SQLite's write lock at its start, so that what it reads stays true."""
        if not self.is_sqlite:
            async with self.engine.begin() as connection:
                yield connection
            return
        async with self._one_writer, self.engine.connect() as connection:
            await connection.execution_options(cody_write=True)
            async with connection.begin():
                yield connection

    async def ping(self) -> None:
        """Raise DatabaseGone if the database does not answer."""
        async with self.read() as connection:
            await connection.exec_driver_sql("SELECT 1")

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's BEGIN below is the only one
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={_BUSY_SECONDS * 1000}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    write = connection.get_execution_options().get("cody_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

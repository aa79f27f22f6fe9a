"""One database, SQLite or PostgreSQL, and its two kinds of transaction.

A transaction is a plain function of a connection. PostgreSQL runs it on SQLAlchemy's asyncio engine. SQLite runs it
whole in a thread: statement by statement through an event loop, a transaction would hold the only write lock many times
as long as it works, and every other process would wait for it.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import Table

if TYPE_CHECKING:
    from cody.store.postgres import Postgres

T = TypeVar("T")
Work = Callable[[Connection], T]

_BUSY_SECONDS = 10.0
_POLL_SECONDS = 0.001
_READERS = 4
"""Threads that read; SQLite's readers are quick, and wait for nobody."""


class Database:
    """`read` and `write` transactions on one database; one per process."""

    def __init__(self, url: str) -> None:
        self.is_sqlite = url.startswith("sqlite:")
        self._backend = _Sqlite(url) if self.is_sqlite else _postgres(url)

    def insert(self, table: Table) -> Any:
        """An INSERT with the dialect's ON CONFLICT, which both have in the same form."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    async def read(self, work: Work[T]) -> T:
        """Do `work` on a consistent look."""
        return await self._backend.read(work)

    async def write(self, work: Work[T]) -> T:
        """Do `work` and commit. On SQLite it is the only writer from its start on, so what it reads stays true.

        On PostgreSQL others write too: what decides by a run's row, or by what hangs on it, says `lock_run` first.
        """
        return await self._backend.write(work)

    async def rebuild(self, work: Work[T]) -> T:
        """As `write`, for changes of the schema, which may take their time."""
        return await self._backend.rebuild(work)

    async def close(self) -> None:
        """Close all connections."""
        await self._backend.close()


def _postgres(url: str) -> "Postgres":
    from cody.store.postgres import Postgres  # brings SQLAlchemy's asyncio, which takes long to import, and its ORM

    return Postgres(url)


class _Sqlite:
    def __init__(self, url: str) -> None:
        self._readers = _engine(url, _begin, busy_seconds=_BUSY_SECONDS)
        self._writers = _engine(url, _begin_writing, busy_seconds=0.0)
        self._reading = ThreadPoolExecutor(_READERS, "sqlite-read")
        self._writing = ThreadPoolExecutor(1, "sqlite-write")

    async def read(self, work: Work[T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reading, _in_transaction, self._readers, work)

    async def write(self, work: Work[T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writing, _in_transaction, self._writers, work)

    rebuild = write

    async def close(self) -> None:
        for pool in (self._reading, self._writing):
            await asyncio.to_thread(pool.shutdown)
        self._readers.dispose()
        self._writers.dispose()


def _in_transaction(engine: Engine, work: Work[T]) -> T:
    with engine.begin() as connection:
        return work(connection)


def _engine(url: str, begin: Callable[[Connection], None], *, busy_seconds: float) -> Engine:
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the BEGIN of `begin` is the only one
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.execute(f"PRAGMA busy_timeout={int(busy_seconds * 1000)}")
        cursor.close()

    arguments = {"timeout": _BUSY_SECONDS, "check_same_thread": False}
    engine = create_engine(url, connect_args=arguments, pool_size=_READERS, max_overflow=0)
    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", begin)
    return engine


def _begin(connection: Connection) -> None:
    _execute(connection, "BEGIN")


def _begin_writing(connection: Connection) -> None:
    """Wait for the write lock. SQLite's own busy handler sleeps up to 100 ms at a time, so ask often instead."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            _execute(connection, "BEGIN IMMEDIATE")
        except OperationalError as error:
            if "locked" not in str(error.orig) or time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return


def _execute(connection: Connection, statement: str) -> None:
    """Straight on the driver, as SQLAlchemy's way there costs more than the statement."""
    driver: Any = connection.connection.driver_connection
    try:
        driver.execute(statement)
    except sqlite3.OperationalError as error:
        raise OperationalError(statement, None, error) from error

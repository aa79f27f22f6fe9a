"""Bring a database to the newest schema; any number of processes may do so at once."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from cody.store.database import Database

MIGRATIONS = Path(__file__).parent / "migrations"

_LOCK = 0x636F6479
"""PostgreSQL's advisory lock for the migration; SQLite's write transaction is one by itself."""


async def migrate(database: Database) -> None:
    """Run what migrations are missing, in one transaction."""
    await database.rebuild(_upgrade)


def newest_revision() -> str:
    """The schema that this code knows: a migration's file begins with its number, which is its revision."""
    return max(path.name for path in (MIGRATIONS / "versions").glob("[0-9]*.py")).partition("_")[0]


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL lock_timeout = 0"))  # whoever migrates may take longer than others wait
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    if _revision(connection) != newest_revision():
        from cody.store.upgrade import upgrade  # Alembic is a tenth of what a process imports, and rarely needed

        upgrade(connection)


def _revision(connection: Connection) -> str | None:
    """What Alembic has noted in the database; None if nothing has been made there."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()

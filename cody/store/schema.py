"""Bring a database to the newest schema; any number of processes may do so at once."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from cody.store.database import Database

_LOCK = 0x636F6479
"""PostgreSQL's advisory lock for the migration; SQLite's write transaction is one by itself."""


async def migrate(database: Database) -> None:
    """Run what migrations are missing, in one transaction."""
    await database.rebuild(_upgrade)


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL lock_timeout = 0"))  # whoever migrates may take longer than others wait
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    config = alembic_config()
    here = MigrationContext.configure(connection).get_current_revision()
    if here != ScriptDirectory.from_config(config).get_current_head():
        attributes: dict[str, Any] = config.attributes
        attributes["connection"] = connection
        command.upgrade(config, "head")


def alembic_config() -> Config:
    """Alembic's configuration without a file; `python -m alembic` is not needed to run Cody."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config

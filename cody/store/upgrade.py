"""Alembic, called from code: there is no file of its configuration."""

from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from cody.store.schema import MIGRATIONS


def upgrade(connection: Connection) -> None:
    """Run all migrations that the database has not seen, inside the connection's transaction."""
    config = alembic_config()
    attributes: dict[str, Any] = config.attributes
    attributes["connection"] = connection
    command.upgrade(config, "head")


def alembic_config() -> Config:
    """Alembic's configuration; `python -m alembic` is not needed to run Cody."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config

"""A database that cannot be used just now."""

from sqlalchemy.exc import OperationalError


class PostgresAway(Exception):
    """PostgreSQL does not answer, refuses us, or is busy beyond patience."""


DatabaseGone = (OperationalError, PostgresAway)
"""The database is away or busy beyond patience: worth trying again."""

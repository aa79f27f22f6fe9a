"""The lock that makes a transaction on PostgreSQL a run's only writer."""

from sqlalchemy import Connection, select

from cody.store.tables import runs


def lock_run(connection: Connection, run_id: str) -> None:
    """Be the only one who decides about the run until the transaction ends; does nothing on SQLite, where one is.

    It comes first, so that all take their locks in the same order. NO KEY, as every new row that belongs to the run
    has a share of its key: those go on.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(runs.c.id).where(runs.c.id == run_id).with_for_update(key_share=True))

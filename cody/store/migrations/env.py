"""Alembic's entry: migrate on the connection that `cody.store.schema` hands over, inside its transaction."""

from alembic import context

from cody.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transaction_per_migration=False
)
context.run_migrations()

"""one run at a time on a thread"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

UNDER_WAY = sa.text("finished_at IS NULL")


def upgrade() -> None:
    op.add_column("runs", sa.Column("last_control", sa.BigInteger(), nullable=False, server_default="0"))
    # What was handed out to the runs that are there is not known any more: no number counts as made up.
    op.execute("UPDATE runs SET last_control = 9007199254740991")
    op.add_column("prompts", sa.Column("carry", sa.Text(), nullable=True))
    # Of runs that were let onto one thread at once, the newest keeps it; the others go on in threads of their own.
    op.execute(
        """
        UPDATE runs SET thread_id = id WHERE finished_at IS NULL AND EXISTS (
            SELECT 1 FROM runs AS newer WHERE newer.finished_at IS NULL AND newer.thread_id = runs.thread_id AND
            (newer.created_at > runs.created_at OR (newer.created_at = runs.created_at AND newer.id > runs.id))
        )
        """
    )
    op.create_index("runs_busy", "runs", ["thread_id"], unique=True, sqlite_where=UNDER_WAY, postgresql_where=UNDER_WAY)


def downgrade() -> None:
    op.drop_index("runs_busy", table_name="runs")
    op.drop_column("prompts", "carry")
    op.drop_column("runs", "last_control")

"""the archive"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

OPEN = sa.text("NOT settled")


def upgrade() -> None:
    op.create_table(
        "archives",
        sa.Column("run_id", sa.String(128), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("archived", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("trimmed", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("whole", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("settled", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_index("archives_open", "archives", ["run_id"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.execute("INSERT INTO archives (run_id) SELECT id FROM runs")
    op.create_table(
        "chunks",
        sa.Column("run_id", sa.String(128), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("first_seq", sa.BigInteger(), primary_key=True),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
    )
    op.create_index("chunks_age", "chunks", ["at"])


def downgrade() -> None:
    op.drop_table("chunks")
    op.drop_table("archives")

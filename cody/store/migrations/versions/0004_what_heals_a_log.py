"""what heals a log that Redis has lost"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("archives", sa.Column("reserved", sa.BigInteger(), nullable=False, server_default="10000"))
    op.add_column("archives", sa.Column("lifecycle", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("archives", sa.Column("sealed", sa.BigInteger(), nullable=False, server_default="0"))
    # Of runs that are older than this nobody kept what they said, or counted their SEQs.
    op.execute(
        "UPDATE archives SET lifecycle = (SELECT version FROM runs WHERE runs.id = archives.run_id),"
        " reserved = (SELECT cursor_seq + 10000 FROM runs WHERE runs.id = archives.run_id)"
    )
    op.create_table(
        "said",
        sa.Column("run_id", sa.String(128), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.BigInteger(), primary_key=True),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("said")
    op.drop_column("archives", "sealed")
    op.drop_column("archives", "lifecycle")
    op.drop_column("archives", "reserved")

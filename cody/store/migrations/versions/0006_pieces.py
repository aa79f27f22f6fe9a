"""pieces: the text of an item that still grows, a row for each time it was saved"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pieces",
        sa.Column("response_id", sa.String(128), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("start", sa.BigInteger(), primary_key=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["response_id", "position"], ["items.response_id", "items.position"], ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    op.drop_table("pieces")

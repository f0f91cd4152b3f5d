"""When somebody last showed who they are, apart from when they signed in. Never edited: a change is a new file."""

from alembic import op
from sqlalchemy import Column, Float

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("sessions", Column("shown", Float))
    op.execute("UPDATE sessions SET shown = created")

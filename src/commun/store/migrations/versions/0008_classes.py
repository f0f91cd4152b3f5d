"""Classes: codes for people without an account, of whom nothing is kept. Never edited: a change is a new file."""

from alembic import op
from sqlalchemy import Column, Float, ForeignKey, Integer, LargeBinary, String

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "classes",
        Column("id", String, primary_key=True),
        Column("account_id", String, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
        Column("code_hash", LargeBinary, nullable=False, unique=True),
        Column("name", String, nullable=False),
        Column("created", Float, nullable=False),
        Column("expires", Float, nullable=False),
        Column("places", Integer, nullable=False),
        Column("daily_tokens", Integer, nullable=False),
        Column("day", Integer, nullable=False),
        Column("tokens", Integer, nullable=False),
    )
    op.create_index("ix_classes_account_id", "classes", ["account_id"])
    op.create_table(
        "guests",
        Column("token_hash", LargeBinary, primary_key=True),
        Column("class_id", String, ForeignKey("classes.id", ondelete="CASCADE"), nullable=False),
        Column("expires", Float, nullable=False),
        Column("ends", Float, nullable=False),
    )
    op.create_index("ix_guests_class_id", "guests", ["class_id"])

"""Conversations that others may read: the key sealed again, to them. Never edited: a change is a new file."""

from alembic import op
from sqlalchemy import Column, Float, ForeignKey, LargeBinary, String, text

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "readers",
        Column("id", String, primary_key=True),
        Column("conversation_id", String, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
        Column("account_id", String, ForeignKey("accounts.id", ondelete="CASCADE")),
        Column("vault_id", String, ForeignKey("vaults.id", ondelete="CASCADE")),
        Column("link_hash", LargeBinary, unique=True),
        Column("sealed_key", LargeBinary, nullable=False),
        Column("created", Float, nullable=False),
        Column("expires", Float),
        Column("accepted", Float),
    )
    op.create_index("ix_readers_conversation_id", "readers", ["conversation_id"])
    op.create_index("ix_readers_account_id", "readers", ["account_id"])
    once = text("account_id IS NOT NULL")
    op.create_index("readers_once", "readers", ["conversation_id", "account_id"], unique=True, sqlite_where=once)

"""Receipts, what the ledger holds, the secrets of seeds, shared answers. Never edited: a change is a new file."""

from alembic import op
from sqlalchemy import Column, Float, ForeignKey, Integer, LargeBinary, String, text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "receipts",
        Column("id", String, primary_key=True),
        Column("entry_sha256", String, nullable=False, unique=True),
        Column("position", Integer),
        Column("created", Float, nullable=False),
        Column("key", String, nullable=False),
        Column("account_id", String, ForeignKey("accounts.id", ondelete="CASCADE")),
        Column("conversation_id", String, ForeignKey("conversations.id", ondelete="CASCADE")),
        Column("message_id", String, ForeignKey("messages.id", ondelete="CASCADE")),
        Column("sealed", LargeBinary),
        Column("envelope", LargeBinary),
        Column("caller_key_id", String),
        Column("caller_sealed", LargeBinary),
    )
    for column in ("account_id", "conversation_id", "message_id"):
        op.create_index(f"ix_receipts_{column}", "receipts", [column])
    op.create_index("receipts_not_logged", "receipts", ["created"], sqlite_where=text("position IS NULL"))
    op.create_index("receipts_of_nobody", "receipts", ["created"], sqlite_where=text("conversation_id IS NULL"))
    op.create_index(
        "receipts_of_callers", "receipts", ["caller_key_id"], sqlite_where=text("caller_key_id IS NOT NULL")
    )
    _ledger()
    op.create_table(
        "shares",
        Column("id", String, primary_key=True),
        Column("token_hash", LargeBinary, nullable=False, unique=True),
        Column("account_id", String, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
        Column("conversation_id", String, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
        Column("message_id", String, ForeignKey("messages.id", ondelete="CASCADE"), nullable=False),
        Column("created", Float, nullable=False),
        Column("expires", Float, nullable=False),
        Column("sealed", LargeBinary, nullable=False),
    )
    for column in ("account_id", "conversation_id", "message_id"):
        op.create_index(f"ix_shares_{column}", "shares", [column])


def _ledger() -> None:
    op.create_table(
        "ledger_entries",
        Column("position", Integer, primary_key=True),
        Column("kind", String, nullable=False),
        Column("entry", LargeBinary, nullable=False),
    )
    op.create_index("ix_ledger_entries_kind", "ledger_entries", ["kind"])
    op.create_table(
        "ledgers",
        Column("key", String, primary_key=True),
        Column("size", Integer, nullable=False),
        Column("root", LargeBinary, nullable=False),
        Column("witnessed", LargeBinary),
        Column("replaced", Float),
    )
    op.create_table(
        "ledger_waiting",
        Column("id", String, primary_key=True),
        Column("created", Float, nullable=False),
        Column("entry", LargeBinary, nullable=False),
    )
    op.create_table(
        "epochs",
        Column("sha256", String, primary_key=True),
        Column("secret", LargeBinary, nullable=False),
        Column("opened", Float, nullable=False),
        Column("closed", Float),
        Column("position", Integer),
    )

"""Who agreed that answers be audited, what is kept for that, and secrets of seeds that are published. Never edited: a
change is a new file.
"""

from alembic import op
from sqlalchemy import Column, Float, ForeignKey, LargeBinary, String

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("accounts", Column("audit_asked", Float))
    op.add_column("accounts", Column("audit_agreed", Float))
    op.create_table(
        "audit_samples",
        Column("receipt_id", String, ForeignKey("receipts.id", ondelete="CASCADE"), primary_key=True),
        Column("account_id", String, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
        Column("created", Float, nullable=False),
        Column("key", String, nullable=False),
        Column("sealed", LargeBinary),
        Column("handed", Float),
    )
    op.create_index("ix_audit_samples_account_id", "audit_samples", ["account_id"])
    op.add_column("epochs", Column("published", Float))
    op.create_table(
        "spent_nonces",
        Column("receipt_id", String, primary_key=True),
        Column("created", Float, nullable=False),
    )
    # However a receipt's row goes: its nonce must not serve a second time while its secret is in use.
    op.execute(
        "CREATE TRIGGER receipts_spend_their_nonces AFTER DELETE ON receipts "
        "WHEN OLD.created >= (SELECT min(opened) FROM epochs WHERE closed IS NULL AND position IS NOT NULL) "
        "BEGIN INSERT OR IGNORE INTO spent_nonces VALUES (OLD.id, OLD.created); END"
    )

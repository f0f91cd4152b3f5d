"""Folders of conversations, and what people tell every answer. Never edited: a change is a new file."""

from alembic import op
from sqlalchemy import Column, Float, ForeignKey, LargeBinary, String

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("vaults", Column("instructions", LargeBinary))
    op.create_table(
        "folders",
        Column("id", String, primary_key=True),
        Column("account_id", String, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
        Column("vault_id", String, ForeignKey("vaults.id", ondelete="CASCADE"), nullable=False),
        Column("name", LargeBinary, nullable=False),
        Column("instructions", LargeBinary),
        Column("created", Float, nullable=False),
    )
    op.create_index("folders_by_account", "folders", ["account_id", "vault_id"])
    op.add_column("conversations", Column("folder_id", String))
    op.create_index("ix_conversations_folder_id", "conversations", ["folder_id"])

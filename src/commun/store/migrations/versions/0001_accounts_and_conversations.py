"""Accounts, sessions, links, API keys, conversations and messages. Never edited: a change is a new file."""

from alembic import op
from sqlalchemy import Column, Float, ForeignKey, Integer, LargeBinary, String, text

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        Column("id", String, primary_key=True),
        Column("role", String, nullable=False),
        Column("created", Float, nullable=False),
        Column("language", String, nullable=False),
        Column("theme", String, nullable=False),
        Column("vault_id", String),
    )
    op.create_table(
        "vaults",
        Column("id", String, primary_key=True),
        Column("account_id", String, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
        Column("created", Float, nullable=False),
        Column("public_key", LargeBinary, nullable=False),
        Column("recovery", LargeBinary),
        Column("recovery_made", Float),
    )
    op.create_index("ix_vaults_account_id", "vaults", ["account_id"])
    op.create_table(
        "sessions",
        Column("id", String, primary_key=True),
        Column("account_id", String, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
        Column("token_hash", LargeBinary, nullable=False, unique=True),
        Column("created", Float, nullable=False),
        Column("last_used", Float, nullable=False),
        Column("expires", Float, nullable=False),
        Column("vault_id", String, ForeignKey("vaults.id", ondelete="CASCADE")),
        Column("wrapped_key", LargeBinary),
    )
    op.create_index("ix_sessions_account_id", "sessions", ["account_id"])
    op.create_table(
        "links",
        Column("token_hash", LargeBinary, primary_key=True),
        Column("expires", Float, nullable=False),
    )
    op.create_table(
        "api_keys",
        Column("id", String, primary_key=True),
        Column("account_id", String, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
        Column("name", String, nullable=False),
        Column("prefix", String, nullable=False),
        Column("token_hash", LargeBinary, nullable=False, unique=True),
        Column("created", Float, nullable=False),
        Column("last_used", Float),
    )
    op.create_index("ix_api_keys_account_id", "api_keys", ["account_id"])
    _conversations()


def _conversations() -> None:
    op.create_table(
        "conversations",
        Column("id", String, primary_key=True),
        Column("account_id", String, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
        Column("vault_id", String, ForeignKey("vaults.id", ondelete="CASCADE"), nullable=False),
        Column("sealed_key", LargeBinary, nullable=False),
        Column("title", LargeBinary, nullable=False),
        Column("created", Float, nullable=False),
        Column("updated", Float, nullable=False),
        Column("leaf_id", String, nullable=False),
        Column("deleted", Float),
    )
    op.create_index("conversations_by_account", "conversations", ["account_id", "vault_id", "updated"])
    op.create_table(
        "messages",
        Column("number", Integer, primary_key=True),
        Column("id", String, nullable=False, unique=True),
        Column("conversation_id", String, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
        Column("parent_id", String),
        Column("role", String, nullable=False),
        Column("state", String, nullable=False),
        Column("created", Float, nullable=False),
        Column("content", LargeBinary, nullable=False),
    )
    op.create_index("messages_by_conversation", "messages", ["conversation_id"])
    op.create_index(
        "messages_one_running",
        "messages",
        ["conversation_id"],
        unique=True,
        sqlite_where=text("state = 'running'"),
    )

"""Many accounts: names, roles, ways to open a vault, invitations, what was used. Never edited: a change is a new file.

The founder becomes an administrator; a recovery code moves to the table of all ways in, under the context that it was
sealed with.
"""

from alembic import op
from sqlalchemy import Column, Float, ForeignKey, Integer, LargeBinary, String, text

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("accounts", Column("name", String))
    op.add_column("accounts", Column("name_key", String))
    op.add_column("accounts", Column("founder", Integer, nullable=False, server_default=text("0")))
    op.add_column("accounts", Column("disabled", Float))
    op.create_index("accounts_one_name", "accounts", ["name_key"], unique=True)
    op.create_index("accounts_one_founder", "accounts", ["founder"], unique=True, sqlite_where=text("founder = 1"))
    op.execute("UPDATE accounts SET role = 'administrator', founder = 1 WHERE role = 'founder'")
    for table in ("accounts", "api_keys"):
        op.add_column(table, Column("daily_tokens", Integer))
        op.add_column(table, Column("at_once", Integer))
    op.add_column("conversations", Column("imported", Float))
    op.add_column("conversations", Column("source_mark", LargeBinary))
    once = text("source_mark IS NOT NULL")
    op.create_index(
        "conversations_imported_once", "conversations", ["account_id", "source_mark"], unique=True, sqlite_where=once
    )
    _unlocks()
    op.create_table(
        "invitations",
        Column("id", String, primary_key=True),
        Column("token_hash", LargeBinary, nullable=False, unique=True),
        Column("role", String, nullable=False),
        Column("note", String, nullable=False),
        Column("made_by", String, ForeignKey("accounts.id", ondelete="SET NULL")),
        Column("created", Float, nullable=False),
        Column("expires", Float, nullable=False),
        Column("used", Float),
    )
    op.create_table(
        "usage",
        Column("account_id", String, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
        Column("day", Integer, primary_key=True),
        Column("key_id", String, primary_key=True),
        Column("answers", Integer, nullable=False),
        Column("tokens_read", Integer, nullable=False),
        Column("tokens_written", Integer, nullable=False),
    )


def _unlocks() -> None:
    op.create_table(
        "unlocks",
        Column("id", String, primary_key=True),
        Column("account_id", String, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
        Column("vault_id", String, ForeignKey("vaults.id", ondelete="CASCADE")),
        Column("kind", String, nullable=False),
        Column("name", String, nullable=False),
        Column("credential", LargeBinary, unique=True),
        Column("parameters", String, nullable=False),
        Column("verifier", LargeBinary),
        Column("wrapped_key", LargeBinary),
        Column("created", Float, nullable=False),
        Column("last_used", Float),
    )
    op.create_index("ix_unlocks_account_id", "unlocks", ["account_id"])
    once = text("kind IN ('password', 'passphrase', 'recovery')")
    op.create_index("unlocks_one_of_a_kind", "unlocks", ["account_id", "kind"], unique=True, sqlite_where=once)
    op.execute(
        "INSERT INTO unlocks (id, account_id, vault_id, kind, name, parameters, wrapped_key, created) "
        "SELECT 'r' || vaults.id, account_id, vaults.id, 'recovery', '', '{}', recovery, "
        "coalesce(recovery_made, vaults.created) FROM vaults "
        "JOIN accounts ON accounts.id = vaults.account_id AND accounts.vault_id = vaults.id "
        "WHERE recovery IS NOT NULL"
    )
    op.drop_column("vaults", "recovery")
    op.drop_column("vaults", "recovery_made")

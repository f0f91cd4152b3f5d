"""Signing in at a provider (OpenID Connect): one more kind of way in, of which an account has one at most.

A passkey's number, which whoever makes it chooses, and a provider's mark are unique each among its like. SQLite drops
no constraint: the table is made anew.

Never edited: a change is a new file.
"""

from alembic import op
from sqlalchemy import text

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.drop_index("unlocks_one_of_a_kind", "unlocks")
    named = {"uq": "uq_%(table_name)s_%(column_0_name)s"}
    with op.batch_alter_table("unlocks", naming_convention=named) as table:
        table.drop_constraint("uq_unlocks_credential", type_="unique")
    op.create_index("unlocks_one_credential", "unlocks", ["kind", "credential"], unique=True)
    once = text("kind IN ('password', 'passphrase', 'recovery', 'provider')")
    op.create_index("unlocks_one_of_a_kind", "unlocks", ["account_id", "kind"], unique=True, sqlite_where=once)

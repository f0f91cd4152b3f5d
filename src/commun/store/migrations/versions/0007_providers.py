"""Signing in at a provider (OpenID Connect): one more kind of way in, of which an account has one at most.

Never edited: a change is a new file.
"""

from alembic import op
from sqlalchemy import text

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.drop_index("unlocks_one_of_a_kind", "unlocks")
    once = text("kind IN ('password', 'passphrase', 'recovery', 'provider')")
    op.create_index("unlocks_one_of_a_kind", "unlocks", ["account_id", "kind"], unique=True, sqlite_where=once)

"""Which edition of the charter an account was last told of. Never edited: a change is a new file."""

from alembic import op
from sqlalchemy import Column, Integer

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("accounts", Column("told_edition", Integer))

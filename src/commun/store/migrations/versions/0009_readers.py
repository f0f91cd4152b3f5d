"""Conversations that others may read: the key sealed again, to them. Never edited: a change is a new file."""

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    pass

"""Folders of conversations, and what people tell every answer about themselves. Never edited: a change is a new file."""

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    pass

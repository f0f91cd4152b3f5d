"""Classes: codes with which people without an account ask, and nothing of theirs is kept. Never edited: a change is a new file."""

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    pass

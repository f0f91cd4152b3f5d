"""What people think of an answer, and single answers that they send. Never edited: a change is a new file."""

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    pass

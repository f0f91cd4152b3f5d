"""Signing in at a provider (OpenID Connect). Never edited: a change is a new file."""

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    pass

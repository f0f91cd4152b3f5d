"""What people think of an answer, and single answers that they send. Never edited: a change is a new file."""

from alembic import op
from sqlalchemy import Column, Float, ForeignKey, LargeBinary, String

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "feedback",
        Column("message_id", String, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
        Column("conversation_id", String, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
        Column("sealed", LargeBinary, nullable=False),
    )
    op.create_index("ix_feedback_conversation_id", "feedback", ["conversation_id"])
    op.create_table(
        "sent_answers",
        Column("id", String, primary_key=True),
        Column("account_id", String, ForeignKey("accounts.id", ondelete="CASCADE")),
        Column("created", Float, nullable=False),
        Column("done", Float),
        Column("sealed", LargeBinary, nullable=False),
    )
    op.create_index("ix_sent_answers_account_id", "sent_answers", ["account_id"])
    op.create_index("ix_sent_answers_created", "sent_answers", ["created"])
    op.create_table(
        "sent_keys",
        Column("sent_id", String, ForeignKey("sent_answers.id", ondelete="CASCADE"), primary_key=True),
        Column("account_id", String, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
        Column("vault_id", String, ForeignKey("vaults.id", ondelete="CASCADE"), nullable=False),
        Column("sealed_key", LargeBinary, nullable=False),
    )
    op.create_index("ix_sent_keys_account_id", "sent_keys", ["account_id"])
    op.create_index("ix_sent_keys_vault_id", "sent_keys", ["vault_id"])

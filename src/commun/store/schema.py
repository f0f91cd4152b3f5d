"""The tables. Every column's comment says what it reveals to whoever holds a copy of the database.

``docs/what-is-visible.md`` is written from these comments (``python -m commun.store.schema``). Columns whose
comment begins with "Sealed" hold only bytes made by ``vault.py``. Times are seconds since 1970.

The migrations (``migrations/versions``) are what makes the tables; a test checks that they and this file agree.
"""

from typing import Final

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, text

REVISION: Final = "0002"  # the newest migration; checked with plain SQL at start, so that Alembic is seldom imported

metadata = MetaData()

accounts = Table(
    "accounts",
    metadata,
    Column("id", String, primary_key=True, comment="A random name. Reveals nothing."),
    Column("role", String, nullable=False, comment="In clear: what the account may do (founder)."),
    Column("created", Float, nullable=False, comment="In clear: when the account was made."),
    Column("language", String, nullable=False, comment="In clear: the language chosen for the pages."),
    Column("theme", String, nullable=False, comment="In clear: light, dark or as the browser says."),
    Column("vault_id", String, comment="In clear: which of the account's key pairs is in use; empty before the first."),
    Column("told_edition", Integer, comment="In clear: the newest edition of the charter that its owner was told of."),
    comment="One row per account.",
)

vaults = Table(
    "vaults",
    metadata,
    Column("id", String, primary_key=True, comment="A random name. Reveals nothing."),
    Column(
        "account_id",
        String,
        ForeignKey("accounts.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
        comment="In clear: whose it is.",
    ),
    Column("created", Float, nullable=False, comment="In clear: when the key pair was made."),
    Column("public_key", LargeBinary, nullable=False, comment="In clear: seals to the account; opens nothing."),
    Column(
        "recovery", LargeBinary, comment="Sealed: the private key under the recovery code; shows whether there is one."
    ),
    Column("recovery_made", Float, comment="In clear: when the recovery code was made."),
    comment="The account's key pairs: one in use, older ones after somebody started over.",
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String, primary_key=True, comment="A random name. Reveals nothing."),
    Column(
        "account_id",
        String,
        ForeignKey("accounts.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
        comment="In clear: whose it is.",
    ),
    Column(
        "token_hash",
        LargeBinary,
        nullable=False,
        unique=True,
        comment="Derived from the cookie by HKDF-SHA256: cannot be turned back.",
    ),
    Column("created", Float, nullable=False, comment="In clear: when the browser signed in."),
    Column("last_used", Float, nullable=False, comment="In clear: when it was last used, to the minute."),
    Column("expires", Float, nullable=False, comment="In clear: when it ends."),
    Column(
        "vault_id",
        String,
        ForeignKey("vaults.id", ondelete="CASCADE"),
        comment="In clear: which key pair it opens, if any.",
    ),
    Column("wrapped_key", LargeBinary, comment="Sealed: the private key under the cookie's token."),
    comment="Signed-in browsers.",
)

links = Table(
    "links",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True, comment="SHA-256 of the link's token: cannot be turned back."),
    Column("expires", Float, nullable=False, comment="In clear: when the link ends."),
    comment="One-time sign-in links that were not used yet.",
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String, primary_key=True, comment="A random name. Reveals nothing."),
    Column(
        "account_id",
        String,
        ForeignKey("accounts.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
        comment="In clear: whose it is.",
    ),
    Column("name", String, nullable=False, comment="In clear: the name that its owner gave it."),
    Column("prefix", String, nullable=False, comment="In clear: its first characters, to recognise it by."),
    Column(
        "token_hash", LargeBinary, nullable=False, unique=True, comment="SHA-256 of the key: cannot be turned back."
    ),
    Column("created", Float, nullable=False, comment="In clear: when it was made."),
    Column("last_used", Float, comment="In clear: when it was last used, to the minute."),
    comment="API keys.",
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", String, primary_key=True, comment="A random name. Reveals nothing."),
    Column(
        "account_id",
        String,
        ForeignKey("accounts.id", ondelete="CASCADE"),
        nullable=False,
        comment="In clear: whose it is.",
    ),
    Column(
        "vault_id",
        String,
        ForeignKey("vaults.id", ondelete="CASCADE"),
        nullable=False,
        comment="In clear: which key pair it is sealed to.",
    ),
    Column(
        "sealed_key",
        LargeBinary,
        nullable=False,
        comment="Sealed: the conversation's own key. Without it nothing opens.",
    ),
    Column("title", LargeBinary, nullable=False, comment="Sealed: the title; its length shows, in bytes."),
    Column("created", Float, nullable=False, comment="In clear: when it began."),
    Column("updated", Float, nullable=False, comment="In clear: when it last went on."),
    Column("leaf_id", String, nullable=False, comment="In clear: the last message of the branch that is shown."),
    Column("deleted", Float, comment="In clear: when its owner deleted it; it is purged a while after."),
    Index("conversations_by_account", "account_id", "vault_id", "updated"),
    comment="One row per conversation. How many there are, and when, is in clear.",
)

messages = Table(
    "messages",
    metadata,
    Column("number", Integer, primary_key=True, comment="In clear: the order in which messages were written."),
    Column("id", String, nullable=False, unique=True, comment="A random name. Reveals nothing."),
    Column(
        "conversation_id",
        String,
        ForeignKey("conversations.id", ondelete="CASCADE"),
        nullable=False,
        comment="In clear: where it belongs.",
    ),
    Column(
        "parent_id", String, comment="In clear: the message before it: the shape of the tree of edits and branches."
    ),
    Column("role", String, nullable=False, comment="In clear: system, user or assistant."),
    Column(
        "state", String, nullable=False, comment="In clear: whether the answer is complete, running, stopped or failed."
    ),
    Column("created", Float, nullable=False, comment="In clear: when it was written."),
    Column(
        "content", LargeBinary, nullable=False, comment="Sealed: text, tokens, figures; the length shows, in bytes."
    ),
    Index("messages_by_conversation", "conversation_id"),
    # One running answer per conversation, whoever writes: the index refuses the second.
    Index("messages_one_running", "conversation_id", unique=True, sqlite_where=text("state = 'running'")),
    comment="One row per message.",
)


def describe() -> str:
    """``docs/what-is-visible.md``, from the comments."""
    lines = [
        "# What a copy of the database shows",
        "",
        "Written from `src/commun/store/schema.py` by `python -m commun.store.schema`; a test compares them.",
        "“Sealed”: bytes that open only with a secret that the database does not hold (`src/commun/store/vault.py`).",
    ]
    for table in metadata.sorted_tables:
        lines += ["", f"## {table.name}", "", f"{table.comment}", "", "| column | what it reveals |", "|---|---|"]
        lines += [f"| `{column.name}` | {column.comment} |" for column in table.columns]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(describe(), end="")  # noqa: T201  (the document is this command's output)

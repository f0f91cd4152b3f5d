"""The tables. Every column's comment says what it reveals to whoever holds a copy of the database.

``docs/what-is-visible.md`` is written from these comments (``python -m commun.store.schema``). Columns whose
comment begins with "Sealed" hold only bytes made by ``vault.py``. Times are seconds since 1970.

The migrations (``migrations/versions``) are what makes the tables; a test checks that they and this file agree.
"""

from typing import Final

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, text

REVISION: Final = "0005"  # the newest migration; checked with plain SQL at start, so that Alembic is seldom imported

metadata = MetaData()

accounts = Table(
    "accounts",
    metadata,
    Column("id", String, primary_key=True, comment="A random name. Reveals nothing."),
    Column("role", String, nullable=False, comment="In clear: what the account may do (administrator, member)."),
    Column("created", Float, nullable=False, comment="In clear: when the account was made."),
    Column("language", String, nullable=False, comment="In clear: the language chosen for the pages."),
    Column("theme", String, nullable=False, comment="In clear: light, dark or as the browser says."),
    Column("vault_id", String, comment="In clear: which of the account's key pairs is in use; empty before the first."),
    Column("told_edition", Integer, comment="In clear: the newest edition of the charter that its owner was told of."),
    Column("audit_asked", Float, comment="In clear: when its owner first said yes or no to audits of answers."),
    Column("audit_agreed", Float, comment="In clear: since when its owner agrees to audits; empty: does not."),
    Column("name", String, comment="In clear: the name that its owner signs in with, as it was written."),
    Column("name_key", String, comment="In clear: the same name in small letters, so that no two are alike."),
    Column(
        "founder",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="In clear: whether the link that “commun serve” prints opens it.",
    ),
    Column("disabled", Float, comment="In clear: when an administrator disabled it; empty while it may be used."),
    Column("daily_tokens", Integer, comment="In clear: how many tokens it may use in a day; empty: as everybody."),
    Column("at_once", Integer, comment="In clear: how many answers it may have written at once; empty: as everybody."),
    Index("accounts_one_name", "name_key", unique=True),
    Index("accounts_one_founder", "founder", unique=True, sqlite_where=text("founder = 1")),
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
    comment="The account's key pairs: one in use, older ones after somebody started over.",
)

unlocks = Table(
    "unlocks",
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
        "vault_id",
        String,
        ForeignKey("vaults.id", ondelete="CASCADE"),
        comment="In clear: which key pair it opens; empty where it only signs in.",
    ),
    Column("kind", String, nullable=False, comment="In clear: password, passphrase, passkey or recovery code."),
    Column("name", String, nullable=False, comment="In clear: the name that its owner gave to a passkey."),
    Column("credential", LargeBinary, unique=True, comment="In clear: the number by which a passkey is known; random."),
    Column(
        "parameters",
        String,
        nullable=False,
        comment="In clear: the salt and the cost of a password, the public key of a passkey.",
    ),
    Column(
        "verifier",
        LargeBinary,
        comment="Derived from the password by Argon2id and SHA-256: at that cost a weak password can be guessed.",
    ),
    Column("wrapped_key", LargeBinary, comment="Sealed: the private key under this way in."),
    Column("created", Float, nullable=False, comment="In clear: when it was made."),
    Column("last_used", Float, comment="In clear: when it was last used, to the minute."),
    Index(
        "unlocks_one_of_a_kind",
        "account_id",
        "kind",
        unique=True,
        sqlite_where=text("kind IN ('password', 'passphrase', 'recovery')"),
    ),
    comment="The ways into an account and its vault: what each is, and the private key under each.",
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

invitations = Table(
    "invitations",
    metadata,
    Column("id", String, primary_key=True, comment="A random name. Reveals nothing."),
    Column(
        "token_hash",
        LargeBinary,
        nullable=False,
        unique=True,
        comment="SHA-256 of the invitation's token: cannot be turned back.",
    ),
    Column("role", String, nullable=False, comment="In clear: what whoever accepts it may do."),
    Column("note", String, nullable=False, comment="In clear: for whom it is, in the words of whoever made it."),
    Column(
        "made_by",
        String,
        ForeignKey("accounts.id", ondelete="SET NULL"),
        comment="In clear: who made it; empty: the command line, or somebody who is gone.",
    ),
    Column("created", Float, nullable=False, comment="In clear: when it was made."),
    Column("expires", Float, nullable=False, comment="In clear: when it ends."),
    Column("used", Float, comment="In clear: when it was accepted; by whom is not kept."),
    comment="Invitations to make an account, each for one person.",
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
    Column("daily_tokens", Integer, comment="In clear: how many tokens it may use in a day; empty: as its owner."),
    Column("at_once", Integer, comment="In clear: how many answers it may have written at once; empty: as its owner."),
    comment="API keys.",
)

usage = Table(
    "usage",
    metadata,
    Column(
        "account_id",
        String,
        ForeignKey("accounts.id", ondelete="CASCADE"),
        primary_key=True,
        comment="In clear: who used it.",
    ),
    Column("day", Integer, primary_key=True, comment="In clear: on which day (UTC), counted from 1970."),
    Column("key_id", String, primary_key=True, comment="In clear: with which API key; empty: in the pages."),
    Column("answers", Integer, nullable=False, comment="In clear: how many answers were given."),
    Column("tokens_read", Integer, nullable=False, comment="In clear: how many tokens the model read for them."),
    Column("tokens_written", Integer, nullable=False, comment="In clear: how many tokens the model wrote."),
    comment="How much each account used on each day. What was asked is not in it.",
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
    Column("imported", Float, comment="In clear: when it was brought in from another assistant; else empty."),
    Column(
        "source_mark",
        LargeBinary,
        comment="Derived from its name in that assistant by HMAC under its owner’s vault: shows nothing.",
    ),
    Index("conversations_by_account", "account_id", "vault_id", "updated"),
    Index(
        "conversations_imported_once",
        "account_id",
        "source_mark",
        unique=True,
        sqlite_where=text("source_mark IS NOT NULL"),
    ),
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


receipts = Table(
    "receipts",
    metadata,
    Column("id", String, primary_key=True, comment="Derived from the answer's id by SHA-256; stands in the receipt."),
    Column(
        "entry_sha256",
        String,
        nullable=False,
        unique=True,
        comment="SHA-256 of the receipt's envelope, as the ledger publishes it: tells nothing of what was written.",
    ),
    Column("position", Integer, comment="In clear: its place in the ledger, which is public; empty until it has one."),
    Column("created", Float, nullable=False, comment="In clear: when the answer ended."),
    Column("key", String, nullable=False, comment="In clear: the public key that signed it."),
    Column(
        "account_id",
        String,
        ForeignKey("accounts.id", ondelete="CASCADE"),
        index=True,
        comment="In clear: whose it is; empty where nobody keeps the answer.",
    ),
    Column(
        "conversation_id",
        String,
        ForeignKey("conversations.id", ondelete="CASCADE"),
        index=True,
        comment="In clear: where the answer belongs; empty where nobody keeps it.",
    ),
    Column(
        "message_id",
        String,
        ForeignKey("messages.id", ondelete="CASCADE"),
        index=True,
        comment="In clear: which answer it is of; empty where nobody keeps it.",
    ),
    Column(
        "sealed",
        LargeBinary,
        comment="Sealed: the receipt, its salts and what the model was told; the length shows, in bytes.",
    ),
    Column(
        "envelope",
        LargeBinary,
        comment="In clear: the receipt itself, only of answers that nobody keeps; it holds nothing that anybody wrote.",
    ),
    Column(
        "caller_key_id",
        String,
        comment="In clear: which API key asked for the answer to be kept; empty once it is revoked.",
    ),
    Column(
        "caller_sealed",
        LargeBinary,
        comment="Sealed: the receipt and what it commits to, this answer included, under that API key; empty once the "
        "key is revoked; the length shows, in bytes.",
    ),
    Index("receipts_not_logged", "created", sqlite_where=text("position IS NULL")),
    Index("receipts_of_nobody", "created", sqlite_where=text("conversation_id IS NULL")),
    Index("receipts_of_callers", "caller_key_id", sqlite_where=text("caller_key_id IS NOT NULL")),
    comment="One row per answer: what produced it, signed. Removed for good with its conversation.",
)

ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("position", Integer, primary_key=True, comment="In clear: the entry's place in the ledger."),
    Column("kind", String, nullable=False, index=True, comment="In clear: its type."),
    Column("entry", LargeBinary, nullable=False, comment="In clear: the entry, which the ledger publishes."),
    comment="A copy of the ledger's entries that are no receipts, to find them by.",
)

ledgers = Table(
    "ledgers",
    metadata,
    Column("key", String, primary_key=True, comment="In clear: the ledger's name and public key."),
    Column("size", Integer, nullable=False, comment="In clear: up to where these tables know its entries."),
    Column("root", LargeBinary, nullable=False, comment="In clear: the hash of the tree of that size; public."),
    Column("witnessed", LargeBinary, comment="In clear: the newest head that enough witnesses have signed; public."),
    Column("replaced", Float, comment="In clear: when another ledger took its place; empty for the one in use."),
    comment="The ledger as it was last seen, so that one that is shorter or another one later is noticed.",
)

ledger_waiting = Table(
    "ledger_waiting",
    metadata,
    Column("id", String, primary_key=True, comment="A random name. Reveals nothing."),
    Column("created", Float, nullable=False, comment="In clear: when it was written."),
    Column("entry", LargeBinary, nullable=False, comment="In clear: the entry, which the ledger will publish."),
    comment="Entries that are no receipts and that the ledger does not have yet.",
)

epochs = Table(
    "epochs",
    metadata,
    Column("sha256", String, primary_key=True, comment="SHA-256 of the secret, as the ledger publishes it."),
    Column(
        "secret",
        LargeBinary,
        nullable=False,
        comment="In clear: what seeds come from. Whoever has it can tell which numbers an answer was drawn with.",
    ),
    Column("opened", Float, nullable=False, comment="In clear: when it was made."),
    Column("closed", Float, comment="In clear: when another one took its place."),
    Column("position", Integer, comment="In clear: its place in the ledger."),
    Column("published", Float, comment="In clear: when it was handed to the ledger, which publishes it."),
    comment="The secrets that the seeds of answers come from, a new one each day.",
)

spent_nonces = Table(
    "spent_nonces",
    metadata,
    Column(
        "receipt_id",
        String,
        primary_key=True,
        comment="Derived from a secret's digest and a random number by SHA-256: tells nothing of what was written.",
    ),
    Column("created", Float, nullable=False, comment="In clear: when the answer ended."),
    comment="Receipts of the day that were erased: none of their random numbers serves twice. Emptied each day.",
)

audit_samples = Table(
    "audit_samples",
    metadata,
    Column(
        "receipt_id",
        String,
        ForeignKey("receipts.id", ondelete="CASCADE"),
        primary_key=True,
        comment="In clear: the receipt of which answer.",
    ),
    Column(
        "account_id",
        String,
        ForeignKey("accounts.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
        comment="In clear: whose answer it is.",
    ),
    Column("created", Float, nullable=False, comment="In clear: when it was kept."),
    Column("key", String, nullable=False, comment="In clear: a digest of the public key that it is sealed to."),
    Column(
        "sealed",
        LargeBinary,
        comment="Sealed: question and answer with their receipt, to the audit key, which is a file beside the "
        "database; empty once its time is over; the length shows, in bytes.",
    ),
    Column("handed", Float, comment="In clear: when it was handed to another Commun to be audited."),
    comment="Answers that the draw chose for an audit and whose owner agrees to that. Erased after the audit.",
)

shares = Table(
    "shares",
    metadata,
    Column("id", String, primary_key=True, comment="A random name. Reveals nothing."),
    Column(
        "token_hash",
        LargeBinary,
        nullable=False,
        unique=True,
        comment="SHA-256 of the link's token: cannot be turned back.",
    ),
    Column(
        "account_id",
        String,
        ForeignKey("accounts.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
        comment="In clear: who shares it.",
    ),
    Column(
        "conversation_id",
        String,
        ForeignKey("conversations.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
        comment="In clear: where the answer belongs.",
    ),
    Column(
        "message_id",
        String,
        ForeignKey("messages.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
        comment="In clear: which answer is shared.",
    ),
    Column("created", Float, nullable=False, comment="In clear: when it was shared."),
    Column("expires", Float, nullable=False, comment="In clear: when the link ends."),
    Column("sealed", LargeBinary, nullable=False, comment="Sealed: what is shared, under the link's token."),
    comment="Single answers that their owner shares by a link, until it expires or is revoked.",
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

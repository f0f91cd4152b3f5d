"""What people write and are answered: all of it sealed to its owner (``vault.py``)."""

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, String, Table, text

from commun.store.schema.base import belongs_to, metadata, random_id

folders = Table(
    "folders",
    metadata,
    random_id("A random name, or for what was brought in one that only its owner's key leads to. Reveals nothing."),
    belongs_to(
        "account_id",
        "accounts",
        nullable=False,
        comment="In clear: whose it is.",
    ),
    belongs_to(
        "vault_id",
        "vaults",
        nullable=False,
        comment="In clear: which key pair it is sealed to.",
    ),
    Column("name", LargeBinary, nullable=False, comment="Sealed: what it is called; the length shows, in bytes."),
    Column(
        "instructions",
        LargeBinary,
        comment="Sealed: what every answer in it is told; the length shows, in bytes; empty where there is nothing.",
    ),
    Column("created", Float, nullable=False, comment="In clear: when it was made."),
    Index("folders_by_account", "account_id", "vault_id"),
    comment="Folders of conversations, each person’s own.",
)

conversations = Table(
    "conversations",
    metadata,
    random_id(),
    belongs_to(
        "account_id",
        "accounts",
        nullable=False,
        comment="In clear: whose it is.",
    ),
    belongs_to(
        "vault_id",
        "vaults",
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
    Column(
        "folder_id",
        String,
        index=True,
        comment="In clear: in which folder it lies, so which conversations belong together; what that is called is "
        "sealed; empty: in none.",
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
    belongs_to(
        "conversation_id",
        "conversations",
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

shares = Table(
    "shares",
    metadata,
    random_id(),
    Column(
        "token_hash",
        LargeBinary,
        nullable=False,
        unique=True,
        comment="SHA-256 of the link's token: cannot be turned back.",
    ),
    belongs_to(
        "account_id",
        "accounts",
        nullable=False,
        index=True,
        comment="In clear: who shares it.",
    ),
    belongs_to(
        "conversation_id",
        "conversations",
        nullable=False,
        index=True,
        comment="In clear: where the answer belongs.",
    ),
    belongs_to(
        "message_id",
        "messages",
        nullable=False,
        index=True,
        comment="In clear: which answer is shared.",
    ),
    Column("created", Float, nullable=False, comment="In clear: when it was shared."),
    Column("expires", Float, nullable=False, comment="In clear: when the link ends."),
    Column("sealed", LargeBinary, nullable=False, comment="Sealed: what is shared, under the link's token."),
    comment="Single answers that their owner shares by a link, until it expires or is revoked.",
)

readers = Table(
    "readers",
    metadata,
    random_id(),
    belongs_to(
        "conversation_id",
        "conversations",
        nullable=False,
        index=True,
        comment="In clear: which conversation.",
    ),
    belongs_to(
        "account_id",
        "accounts",
        index=True,
        comment="In clear: who reads it; empty until somebody accepts.",
    ),
    belongs_to(
        "vault_id",
        "vaults",
        comment="In clear: which key pair of the reader’s it is sealed to; empty until somebody accepts.",
    ),
    Column(
        "link_hash",
        LargeBinary,
        unique=True,
        comment="SHA-256 of the link's token: cannot be turned back; empty once somebody has accepted.",
    ),
    Column(
        "sealed_key",
        LargeBinary,
        nullable=False,
        comment="Sealed: the conversation's own key, under the link's token, and once somebody accepts, to them.",
    ),
    Column("created", Float, nullable=False, comment="In clear: when the link was made."),
    Column("expires", Float, comment="In clear: when the link ends; empty once somebody has accepted."),
    Column("accepted", Float, comment="In clear: since when it is read; empty until then."),
    Index("readers_once", "conversation_id", "account_id", unique=True, sqlite_where=text("account_id IS NOT NULL")),
    comment="Whole conversations that their owner lets another person read: who reads which, and links for that.",
)

feedback = Table(
    "feedback",
    metadata,
    belongs_to(
        "message_id",
        "messages",
        primary_key=True,
        comment="In clear: on which answer its owner said something; not whether it was good or bad.",
    ),
    belongs_to(
        "conversation_id",
        "conversations",
        nullable=False,
        index=True,
        comment="In clear: where the answer belongs.",
    ),
    Column(
        "sealed",
        LargeBinary,
        nullable=False,
        comment="Sealed: thumb, reasons, remark and when; always the same length, so that it tells nothing.",
    ),
    comment="What people say of single answers, for themselves. That they said something is in clear, and no more.",
)

sent_answers = Table(
    "sent_answers",
    metadata,
    random_id(),
    belongs_to(
        "account_id",
        "accounts",
        index=True,
        comment="In clear: who sent it; empty where it was sent without a name.",
    ),
    Column("created", Float, nullable=False, index=True, comment="In clear: on which day it was sent, not when."),
    Column("done", Float, comment="In clear: on which day an administrator was done with it; else empty."),
    Column(
        "sealed",
        LargeBinary,
        nullable=False,
        comment="Sealed: question, answer, remark and receipt, under a key of its own; the size shows in steps.",
    ),
    comment="Single answers that somebody sent to the administrators, until they are withdrawn, deleted or old.",
)

sent_keys = Table(
    "sent_keys",
    metadata,
    belongs_to(
        "sent_id",
        "sent_answers",
        primary_key=True,
        comment="In clear: which sent answer it opens.",
    ),
    belongs_to(
        "account_id",
        "accounts",
        primary_key=True,
        index=True,
        comment="In clear: for whom: an administrator of that day, or whoever sent it with their name.",
    ),
    belongs_to(
        "vault_id",
        "vaults",
        nullable=False,
        index=True,
        comment="In clear: which key pair it is sealed to.",
    ),
    Column("sealed_key", LargeBinary, nullable=False, comment="Sealed: the sent answer’s own key."),
    comment="Who can open a sent answer: the administrators it was sent to, and nobody who becomes one later.",
)

"""What proves an answer: receipts, what this server knows of its ledger, where seeds come from, samples for audits."""

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, String, Table, text

from commun.store.schema.base import belongs_to, metadata, random_id

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
    belongs_to(
        "account_id",
        "accounts",
        index=True,
        comment="In clear: whose it is; empty where nobody keeps the answer.",
    ),
    belongs_to(
        "conversation_id",
        "conversations",
        index=True,
        comment="In clear: where the answer belongs; empty where nobody keeps it.",
    ),
    belongs_to(
        "message_id",
        "messages",
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
    random_id(),
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
    belongs_to(
        "receipt_id",
        "receipts",
        primary_key=True,
        comment="In clear: the receipt of which answer.",
    ),
    belongs_to(
        "account_id",
        "accounts",
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

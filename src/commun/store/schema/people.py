"""Who may come in, how, and how much was used: accounts, the ways into them, and nothing of what was asked."""

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, LargeBinary, String, Table, text

from commun.store.schema.base import belongs_to, metadata, random_id

accounts = Table(
    "accounts",
    metadata,
    random_id(),
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
    random_id(),
    belongs_to(
        "account_id",
        "accounts",
        nullable=False,
        index=True,
        comment="In clear: whose it is.",
    ),
    Column("created", Float, nullable=False, comment="In clear: when the key pair was made."),
    Column("public_key", LargeBinary, nullable=False, comment="In clear: seals to the account; opens nothing."),
    Column(
        "instructions",
        LargeBinary,
        comment="Sealed: what its owner wants every answer to heed, and whether that is in use; the length shows, in "
        "bytes; empty before the first.",
    ),
    comment="The account's key pairs: one in use, older ones after somebody started over.",
)

unlocks = Table(
    "unlocks",
    metadata,
    random_id(),
    belongs_to(
        "account_id",
        "accounts",
        nullable=False,
        index=True,
        comment="In clear: whose it is.",
    ),
    belongs_to(
        "vault_id",
        "vaults",
        comment="In clear: which key pair it opens; empty where it only signs in.",
    ),
    Column(
        "kind",
        String,
        nullable=False,
        comment="In clear: password, passphrase, passkey, recovery code or an account at a provider.",
    ),
    Column("name", String, nullable=False, comment="In clear: the name that its owner gave to a passkey."),
    Column(
        "credential",
        LargeBinary,
        comment="In clear: the number by which a passkey is known, random; of an account at a provider SHA-256 of the "
        "provider’s address and of the number by which it knows the person: whoever knows both recognises them.",
    ),
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
    Index("unlocks_one_credential", "kind", "credential", unique=True),
    Index(
        "unlocks_one_of_a_kind",
        "account_id",
        "kind",
        unique=True,
        sqlite_where=text("kind IN ('password', 'passphrase', 'recovery', 'provider')"),
    ),
    comment="The ways into an account and its vault: what each is, and the private key under each.",
)

sessions = Table(
    "sessions",
    metadata,
    random_id(),
    belongs_to(
        "account_id",
        "accounts",
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
    Column("created", Float, nullable=False, comment="In clear: when somebody signed in there."),
    Column("last_used", Float, nullable=False, comment="In clear: when it was last used, to the minute."),
    Column("expires", Float, nullable=False, comment="In clear: when it ends."),
    belongs_to(
        "vault_id",
        "vaults",
        comment="In clear: which key pair it opens, if any.",
    ),
    Column("wrapped_key", LargeBinary, comment="Sealed: the private key under the cookie's token."),
    Column(
        "shown",
        Float,
        comment="In clear: when somebody last showed there who they are; empty: they came by the identity provider "
        "and have not since.",
    ),
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
    random_id(),
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
    random_id(),
    belongs_to(
        "account_id",
        "accounts",
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
    belongs_to(
        "account_id",
        "accounts",
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

classes = Table(
    "classes",
    metadata,
    random_id(),
    belongs_to(
        "account_id",
        "accounts",
        nullable=False,
        index=True,
        comment="In clear: which administrator opened it.",
    ),
    Column(
        "code_hash",
        LargeBinary,
        nullable=False,
        unique=True,
        comment="SHA-256 of the class’s code: whoever has the tables could try codes for days, and then only ask.",
    ),
    Column("name", String, nullable=False, comment="In clear: what it is called, in the words of whoever opened it."),
    Column("created", Float, nullable=False, comment="In clear: when it was opened."),
    Column("expires", Float, nullable=False, comment="In clear: when it ends."),
    Column("places", Integer, nullable=False, comment="In clear: how many may be in it at once."),
    Column("daily_tokens", Integer, nullable=False, comment="In clear: how many tokens all of it may use in a day."),
    Column("day", Integer, nullable=False, comment="In clear: the day (UTC, counted from 1970) that is counted."),
    Column("tokens", Integer, nullable=False, comment="In clear: how many tokens all of it used on that day."),
    comment="Classes that are open: people without an account ask with a code. They go when they end.",
)

guests = Table(
    "guests",
    metadata,
    Column(
        "token_hash",
        LargeBinary,
        primary_key=True,
        comment="Derived from the cookie by HKDF-SHA256: cannot be turned back.",
    ),
    belongs_to(
        "class_id",
        "classes",
        nullable=False,
        index=True,
        comment="In clear: which class the browser is in. Who sits before it is not known.",
    ),
    Column("expires", Float, nullable=False, comment="In clear: when it ends unless it is used, to ten minutes."),
    Column("ends", Float, nullable=False, comment="In clear: when it ends in any case, to the hour."),
    comment="Browsers that are in a class. What is asked there is in no table.",
)

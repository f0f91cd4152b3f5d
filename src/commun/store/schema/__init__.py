"""The tables. Every column's comment says what it reveals to whoever holds a copy of the database.

``docs/what-is-visible.md`` is written from these comments (``python -m commun.store.schema``). Columns whose
comment begins with "Sealed" hold only bytes made by ``vault.py``. Times are seconds since 1970.

The migrations (``migrations/versions``) are what makes the tables; a test checks that they and this folder agree.
"""

from typing import Final

from commun.store.schema.base import metadata
from commun.store.schema.chats import (
    conversations,
    feedback,
    folders,
    messages,
    readers,
    sent_answers,
    sent_keys,
    shares,
)
from commun.store.schema.people import (
    accounts,
    api_keys,
    classes,
    guests,
    invitations,
    links,
    sessions,
    unlocks,
    usage,
    vaults,
)
from commun.store.schema.proofs import (
    audit_samples,
    epochs,
    ledger_entries,
    ledger_waiting,
    ledgers,
    receipts,
    spent_nonces,
)

__all__ = [
    "REVISION",
    "accounts",
    "api_keys",
    "audit_samples",
    "classes",
    "conversations",
    "describe",
    "epochs",
    "feedback",
    "folders",
    "guests",
    "invitations",
    "ledger_entries",
    "ledger_waiting",
    "ledgers",
    "links",
    "messages",
    "metadata",
    "readers",
    "receipts",
    "sent_answers",
    "sent_keys",
    "sessions",
    "shares",
    "spent_nonces",
    "unlocks",
    "usage",
    "vaults",
]

REVISION: Final = "0011"  # the newest migration; checked with plain SQL at start, so that Alembic is seldom imported


def describe() -> str:
    """``docs/what-is-visible.md``, from the comments."""
    lines = [
        "# What a copy of the database shows",
        "",
        "Written from `src/commun/store/schema/` by `python -m commun.store.schema`; a test compares them.",
        "“Sealed”: bytes that open only with a secret that the database does not hold (`src/commun/store/vault.py`).",
    ]
    for table in metadata.sorted_tables:
        lines += ["", f"## {table.name}", "", f"{table.comment}", "", "| column | what it reveals |", "|---|---|"]
        lines += [f"| `{column.name}` | {column.comment} |" for column in table.columns]
    return "\n".join(lines) + "\n"

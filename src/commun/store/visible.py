"""What the tables show to whoever has the database, for people to read: the comments of ``schema/``, in groups.

Every table stands in exactly one group (a test counts them); nothing is said here that a column's comment does not say.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from commun.errors import N_
from commun.store.schema import metadata


class Reveals(Enum):
    """What a column gives away: bytes that are sealed, a fingerprint, a random name, or what it says."""

    SEALED = "sealed"
    FINGERPRINT = "fingerprint"
    NAME = "name"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class Column:
    """``comment``: an English sentence, which the catalogues have."""

    name: str
    comment: str
    reveals: Reveals


@dataclass(frozen=True, slots=True)
class Table:
    """What it is for (``comment``), and its columns."""

    name: str
    comment: str
    columns: tuple[Column, ...]

    def revealing(self, *kinds: Reveals) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.reveals in kinds)


@dataclass(frozen=True, slots=True)
class Group:
    """Tables that belong together in a reader's mind."""

    id: str
    title: str
    tables: tuple[Table, ...]


GROUPS: Final = (
    ("conversations", N_("Conversations"), ("conversations", "messages", "folders", "feedback")),
    (
        "people",
        N_("People, and how they come in"),
        ("accounts", "vaults", "unlocks", "sessions", "links", "invitations"),
    ),
    ("classes", N_("Classes: people without an account"), ("classes", "guests")),
    ("programs", N_("Programs, and how much is used"), ("api_keys", "usage")),
    ("proofs", N_("Proofs of answers"), ("receipts", "audit_samples")),
    ("sharing", N_("What people share themselves"), ("shares", "readers", "sent_answers", "sent_keys")),
    (
        "ledger",
        N_("The ledger, which is public"),
        ("ledger_entries", "ledger_waiting", "ledgers", "epochs", "spent_nonces"),
    ),
)
_BEGINNINGS: Final = (("Sealed", Reveals.SEALED), ("A random", Reveals.NAME), ("In clear", Reveals.CLEAR))


def visible() -> tuple[Group, ...]:
    """All tables, in the order of the page."""
    return tuple(Group(name, title, tuple(_table(each) for each in tables)) for name, title, tables in GROUPS)


def sentences() -> set[str]:
    """Every comment, for the catalogues."""
    found = {str(table.comment) for table in metadata.sorted_tables}
    return found | {str(column.comment) for table in metadata.sorted_tables for column in table.columns}


def _table(name: str) -> Table:
    table = metadata.tables[name]
    columns = tuple(Column(each.name, str(each.comment), _reveals(str(each.comment))) for each in table.columns)
    return Table(name, str(table.comment), columns)


def _reveals(comment: str) -> Reveals:
    for beginning, kind in _BEGINNINGS:
        if comment.startswith(beginning):
            return kind
    return Reveals.FINGERPRINT

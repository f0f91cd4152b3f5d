"""Whether a seed is the one that secret and nonce give (``seeds.py`` has the formulas).

Three answers, in growing strength; what is missing to the next one is said:

- the seed follows from the salt that the bundle shows, the nonce and the receipt's id (step 4). The salt's SHA-256 was
  signed, so no other salt can be shown;
- the digest of the secret stood in the ledger before the receipt (step 7);
- the secret was published there after the receipt, and gives this very salt (step 7). Where it stands before the
  receipt, whoever had read it could choose this seed by its nonce; where its digest is not shown to stand before the
  receipt, the secret could be made after the question: then it proves nothing.

A nonce that the server drew leaves it a choice, and that is said as well. Raises ReceiptError.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from commun.errors import N_
from commun.receipts.bundle import ShownSeed
from commun.receipts.errors import Reason, ReceiptError
from commun.receipts.seeds import epoch_of, salt_digest, salt_of, value_of
from commun.receipts.sentences import Sentence
from commun.receipts.statement import BY_SERVER, Scheme, Statement

if TYPE_CHECKING:
    from commun.receipts.logged import InLedger


class SeedStanding(StrEnum):
    """What is known of how the seed came about, from the weakest to the strongest but for the first two."""

    CALLERS = "chosen by the caller"
    REMOTE = "another server sampled"
    SERVERS = "drawn by the server"
    WITHHELD = "withheld"
    COMMITTED = "committed to"
    DERIVED = "derived again"


STANDINGS: Final = {
    SeedStanding.CALLERS: N_("The seed was chosen by whoever asked."),
    SeedStanding.REMOTE: N_("Another server sampled: nothing is known of its seed."),
    SeedStanding.SERVERS: N_("The seed was drawn by the server alone: it could have tried several."),
    SeedStanding.WITHHELD: N_("How the seed came about is withheld."),
    SeedStanding.COMMITTED: N_(
        "The seed is only committed to: it can be derived again once the ledger has published its secret, of which it "
        "must have had the digest before the answer."
    ),
    SeedStanding.DERIVED: N_(
        "The seed was derived again from the published secret, of which the ledger had the digest before: each try at "
        "another seed would be an entry there."
    ),
}
Said = tuple[list[Sentence], list[Sentence]]  # what holds, what is missing


@dataclass(frozen=True, slots=True)
class PublishedSecret:
    """``index``: of the entry that publishes it, in the reader's copy of the ledger ``origin``. ``opened``: of the one
    that has its digest; None: there is none.
    """

    secret: bytes = field(repr=False)
    index: int
    opened: int | None
    origin: str


def check_shown_seed(shown: ShownSeed | None, statement: Statement) -> Said:
    """Of step 4."""
    seed = statement.seed
    if seed.scheme is not Scheme.DERIVED:
        if shown is not None:
            raise ReceiptError(Reason.SEED_ABSENT, "the receipt's seed was not derived from a nonce")
        return [], []
    if shown is None:
        return [], [Sentence(N_("The salt of the seed: withheld; whoever has it can still show it."))]
    if salt_digest(shown.salt) != seed.salt:
        raise ReceiptError(Reason.SEED_MISMATCH, "the salt of the seed is not what was committed to")
    if value_of(shown.salt, bytes.fromhex(seed.nonce), statement.receipt) != seed.value:
        raise ReceiptError(Reason.SEED_MISMATCH, "the seed is not the one that salt, nonce and id give")
    if seed.nonce_by == BY_SERVER:
        return [Sentence(N_("The seed follows from a salt and a nonce; the server drew both."))], []
    return [Sentence(N_("The seed follows from the server's salt and from a nonce that whoever asked drew."))], []


def check_derivation(
    shown: ShownSeed | None, statement: Statement, found: "InLedger | None", own: Sequence[PublishedSecret] = ()
) -> Said:
    """Of step 7. ``own``: what the reader's copy of the ledger publishes."""
    seed = statement.seed
    if shown is None or seed.scheme is not Scheme.DERIVED:
        return [], []
    proves: list[Sentence] = []
    missing: list[Sentence] = []
    if found is not None and found.opened_index is not None:
        text = N_("The digest of the secret that the salt comes from is entry %(index)s, before the receipt.")
        proves.append(Sentence(text, {"index": found.opened_index}))
    published = _published(statement, found, own)
    if published is None:
        return proves, missing
    if salt_of(published.secret, bytes.fromhex(seed.nonce)) != shown.salt:
        raise ReceiptError(Reason.SEED_NOT_DERIVED, "the published secret gives another salt")
    index = None if found is None else found.index
    if index is not None and index > published.index:
        text = N_("The seed's secret was published before the receipt was logged: the seed could be chosen.")
        missing.append(Sentence(text))
    elif index is not None and not _is_before(published.opened, index):
        text = N_("Nothing shows that the seed's secret existed before the receipt: the seed could be chosen.")
        missing.append(Sentence(text))
    elif index is not None:
        text = N_("The secret was published later, as entry %(index)s, and gives this very seed.")
        proves.append(Sentence(text, {"index": published.index}))
    return proves, missing


def standing_of(
    shown: ShownSeed | None, statement: Statement, found: "InLedger | None", own: Sequence[PublishedSecret] = ()
) -> SeedStanding:
    """Of a seed that both steps have let pass."""
    seed = statement.seed
    if seed.scheme is Scheme.CALLER:
        return SeedStanding.CALLERS
    if seed.scheme is Scheme.REMOTE:
        return SeedStanding.REMOTE
    if seed.scheme is not Scheme.DERIVED or seed.nonce_by == BY_SERVER:
        return SeedStanding.SERVERS
    if shown is None:
        return SeedStanding.WITHHELD
    published = _published(statement, found, own)
    if published is None or found is None or found.index is None:
        return SeedStanding.COMMITTED
    is_between = _is_before(published.opened, found.index) and found.index < published.index
    return SeedStanding.DERIVED if is_between else SeedStanding.SERVERS


def _is_before(opened: int | None, index: int) -> bool:
    return opened is not None and opened < index


def _published(
    statement: Statement, found: "InLedger | None", own: Sequence[PublishedSecret]
) -> PublishedSecret | None:
    """What the bundle proves comes first; a copy of another ledger says nothing."""
    epoch, origin = statement.seed.epoch, statement.ledger
    copied = next((item for item in own if item.origin == origin and epoch_of(item.secret) == epoch), None)
    opened = None if found is None else found.opened_index
    if opened is None and copied is not None:
        opened = copied.opened
    if found is not None and found.secret is not None and found.secret_index is not None:
        return PublishedSecret(found.secret, found.secret_index, opened, origin)
    return None if copied is None else PublishedSecret(copied.secret, copied.index, opened, origin)

"""Receipts whose seed was derived from a nonce, in the world of ``world.py``: an epoch, its ledger, and who cheats."""

from dataclasses import replace
from typing import Any

import world
from commun.ledger.entries import EpochSecretStatement, EpochStatement, SoftwareStatement
from commun.receipts.bundle import Bundle, Logged, LoggedEntry, ShownSeed
from commun.receipts.issue import Receipt
from commun.receipts.seeds import derived_receipt_id, epoch_of, salt_digest, salt_of, value_of
from commun.receipts.statement import BY_CALLER, Scheme, Seed

SECRET = world.seed_of("epoch's secret")
OTHER_SECRET = world.seed_of("another epoch's secret")
NONCE = world.seed_of("nonce")
OPENED = EpochStatement(epoch_of(SECRET)).data()
PUBLISHED = EpochSecretStatement.of(SECRET).data()


def seed(nonce: bytes = NONCE, *, salt: bytes | None = None, by: str = BY_CALLER, secret: bytes = SECRET) -> Seed:
    """``salt``: of whoever does not derive it."""
    salt = salt_of(secret, nonce) if salt is None else salt
    epoch = epoch_of(secret)
    value = value_of(salt, nonce, derived_receipt_id(epoch, nonce))
    return Seed(Scheme.DERIVED, value, epoch, salt_digest(salt), nonce.hex(), by)


def signed(made: Seed | None = None, **changes: Any) -> Receipt:
    made = made or seed()
    given = {"receipt": derived_receipt_id(made.epoch, bytes.fromhex(made.nonce)), "seed": made}
    return world.signed(**(given | changes))


def entries_with(
    receipt: bytes, *, opened: bytes = OPENED, published: bytes = PUBLISHED, early: bool = False, late: bool = False
) -> list[bytes]:
    """``early``: the secret stands before the receipt. ``late``: its digest stands after it."""
    software = SoftwareStatement({"commun": "0.1.0"}, "2026-11-02T08:00:01Z").data()
    before = [world.adoption(world.first()), software, world.adoption(world.second()), world.other_receipt(0)]
    before += [] if late else [opened]
    before += [published] if early else []
    after = [opened] if late else []
    after += [] if early else [published]
    return [*before, world.other_receipt(1), receipt, world.other_receipt(2), *after]


def bundle(
    receipt: Receipt | None = None,
    *,
    salt: bytes | None = None,
    shown: tuple[str, ...] = ("opened", "published"),
    in_place: dict[str, bytes] | None = None,
    **ledger: Any,
) -> Bundle:
    """``salt``: what is shown as the seed's. ``shown``: of the secret's two entries. ``in_place``: what the bundle says that
    an entry is, by its name. ``ledger``: of ``entries_with``.
    """
    receipt = receipt or signed()
    salt = salt_of(SECRET, NONCE) if salt is None else salt
    entries = entries_with(receipt.entry, **ledger)
    log = world.Ledger(entries)

    def logged(name: str) -> LoggedEntry | None:
        entry = ledger.get(name, {"opened": OPENED, "published": PUBLISHED}[name])
        told = (in_place or {}).get(name, entry)
        return LoggedEntry(told, log.proof(entries.index(entry))) if name in shown else None

    adoption = world.adoption(world.second())
    return replace(
        receipt.bundle(charter=world.second().documents),
        ledger=Logged(
            world.LOG.verifier.text(),
            log.proof(entries.index(receipt.entry)),
            LoggedEntry(adoption, log.proof(entries.index(adoption))),
        ),
        seed=ShownSeed(salt, logged("opened"), logged("published")),
    )

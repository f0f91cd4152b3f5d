"""A seed that was derived from a nonce: the file, steps 3, 4 and 7. What an operator could try who would choose it."""

import base64
from dataclasses import replace
from typing import Any

import derived
import world
from broken_case import Broken
from commun.ledger.entries import EpochSecretStatement, EpochStatement
from commun.receipts.bundle import Bundle, LoggedEntry, ShownSeed
from commun.receipts.errors import Reason
from commun.receipts.seeds import derived_receipt_id, epoch_of, salt_of

SALT = salt_of(derived.SECRET, derived.NONCE)


def _form(made: Broken) -> None:
    def changed(name: str, reason: Reason, about: str, change: Any) -> None:
        value = world.value(derived.bundle())
        change(value)
        made.add(name, reason, about, value)

    fields = Reason.BUNDLE_FIELDS
    changed("seed-in-the-first-format", fields, "a field of the second", lambda v: v.update(format="commun-bundle/1"))
    changed("second-format-without-a-seed", fields, "its one field more is missing", lambda v: v.pop("seed"))
    changed("seed-null", fields, "a bundle without it has the first format", lambda v: v.update(seed=None))
    changed("seed-with-an-unknown-field", fields, "a field too many", lambda v: v["seed"].update(nonce=""))
    changed(
        "seed-salt-of-31-bytes",
        fields,
        "one byte is missing",
        lambda v: v["seed"].update(salt=base64.b64encode(SALT[1:]).decode()),
    )
    changed(
        "seed-salt-not-base64",
        Reason.NOT_BASE64,
        "in the alphabet of addresses",
        lambda v: v["seed"].update(salt="-" + v["seed"]["salt"][1:]),
    )


def _statement(made: Broken) -> None:
    def stated(name: str, reason: Reason, about: str, **changes: Any) -> None:
        seed = derived.seed().to_json()
        receipt = derived_receipt_id(seed["epoch"], derived.NONCE)
        made.restated(name, reason, about, lambda p: p.update(receipt=receipt, seed=seed | changes))

    fields = Reason.STATEMENT_FIELDS
    stated("nonce-of-15-bytes", fields, "one byte too short", nonce="ab" * 15)
    stated("nonce-of-65-bytes", fields, "one byte too long", nonce="ab" * 65)
    stated("nonce-in-capitals", fields, "one writing", nonce="AB" * 32)
    stated("nonce-drawn-by-nobody", fields, "caller or server", nonce_by="")
    stated("derived-seed-of-the-first-scheme-with-its-drawer", fields, "derived/1 has no nonce_by", scheme="derived/1")
    ground = derived.seed().to_json()
    made.restated(
        "another-id-than-epoch-and-nonce-give",
        Reason.STATEMENT_CONTRADICTION,
        "an operator who tries ids until a seed suits him",
        lambda p: p.update(seed=ground),
    )
    made.restated(
        "another-nonce-than-the-id-was-made-of",
        Reason.STATEMENT_CONTRADICTION,
        "an operator who puts another nonce in the caller's place, and leaves the id",
        lambda p: p.update(
            receipt=derived_receipt_id(ground["epoch"], derived.NONCE), seed=ground | {"nonce": "ab" * 32}
        ),
    )


def _shown(made: Broken) -> None:
    mismatch = Reason.SEED_MISMATCH
    plain = world.bundle()
    made.add(
        "salt-of-a-seed-that-has-none",
        Reason.SEED_ABSENT,
        "the server drew the seed; a salt is shown",
        replace(plain, seed=ShownSeed(SALT)),
    )
    made.add(
        "another-salt-than-committed-to",
        mismatch,
        "shown afterwards in the place of the one that was signed",
        derived.bundle(salt=bytes(32)),
    )
    seed = derived.seed()
    made.add(
        "another-seed-than-salt-and-nonce-give",
        mismatch,
        "an operator who answers with a seed of his own",
        derived.bundle(derived.signed(replace(seed, value=(seed.value + 1) % 2**32))),
    )


def _ledger(made: Broken) -> None:
    epoch, secret = Reason.EPOCH_NOT_IN_LEDGER, Reason.SECRET_NOT_IN_LEDGER
    other = EpochStatement(epoch_of(derived.OTHER_SECRET)).data()
    published = EpochSecretStatement.of(derived.OTHER_SECRET).data()
    made.add("epoch-of-another-secret", epoch, "the entry of another day", derived.bundle(opened=other))
    made.add("epoch-entry-of-another-kind", epoch, "no epoch", derived.bundle(opened=world.other_receipt(0)))
    made.add("epoch-after-the-receipt", epoch, "committed to once the question was known", derived.bundle(late=True))
    made.add(
        "epoch-not-where-its-proof-leads",
        epoch,
        "the right entry, which the ledger does not have there",
        derived.bundle(opened=other, in_place={"opened": derived.OPENED}),
    )
    made.add("secret-of-another-epoch", secret, "another day's", derived.bundle(published=published))
    made.add(
        "secret-not-where-its-proof-leads",
        secret,
        "the right entry, which the ledger does not have there",
        derived.bundle(published=published, in_place={"published": derived.PUBLISHED}),
    )
    made.add(
        "secret-that-is-not-the-epochs",
        secret,
        "an entry that says of another secret that it is this epoch's",
        derived.bundle(published=derived.PUBLISHED.replace(derived.SECRET.hex().encode(), b"ab" * 32)),
    )
    ground = world.seed_of("a salt that suits")
    made.add(
        "salt-that-the-secret-does-not-give",
        Reason.SEED_NOT_DERIVED,
        "an operator who tries salts until a seed suits him, signs it, and has to publish the secret",
        derived.bundle(derived.signed(derived.seed(salt=ground)), salt=ground),
    )
    made.add("epoch-by-another-head", Reason.PROOF_FORM, "of a later head than the receipt's", _by_another_head())


def _by_another_head() -> Bundle:
    one = derived.bundle()
    log = world.Ledger([*derived.entries_with(derived.signed().entry), world.other_receipt(8)])
    assert one.seed is not None
    opened = LoggedEntry(derived.OPENED, log.proof(log.entries.index(derived.OPENED)))
    return replace(one, seed=replace(one.seed, opened=opened))


STEPS = (_form, _statement, _shown, _ledger)

"""A seed that two people draw: the formulas, by an implementation of their own; and whoever grinds is caught."""

import hashlib
import hmac
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import derived
import world
from commun.receipts.bundle import Bundle
from commun.receipts.errors import Reason
from commun.receipts.seeded import PublishedSecret, SeedStanding
from commun.receipts.seeds import derived_receipt_id, epoch_of, read_nonce, salt_digest, salt_of, value_of
from commun.receipts.statement import BY_SERVER, Scheme, Seed
from commun.receipts.verification import Verdict, verify
from golden import PINNED

SECRETS = st.binary(min_size=32, max_size=32)
NONCES = st.binary(min_size=16, max_size=64)


@given(SECRETS, NONCES)
def test_each_value_is_the_one_of_the_specification(secret: bytes, nonce: bytes) -> None:
    epoch = hashlib.sha256(secret).digest()
    salt = hmac.new(secret, b"commun-seed/2\n" + nonce, "sha256").digest()
    receipt = hashlib.sha256(b"commun-receipt-id/2\n" + epoch + nonce).digest()
    value = int.from_bytes(hashlib.sha256(salt + nonce + receipt).digest(), "big") % 2**32
    assert (epoch_of(secret), salt_of(secret, nonce)) == (epoch.hex(), salt)
    assert salt_digest(salt) == hashlib.sha256(salt).hexdigest()
    assert derived_receipt_id(epoch.hex(), nonce) == receipt.hex()
    assert value_of(salt, nonce, receipt.hex()) == value


@settings(max_examples=20, deadline=None)  # each makes, signs and verifies two bundles
@given(SECRETS, NONCES, st.integers(0, 2**32 - 1))
def test_secret_and_nonce_leave_one_value_and_no_other_is_verified(secret: bytes, nonce: bytes, wished: int) -> None:
    made = derived.seed(nonce, secret=secret)
    salt = salt_of(secret, nonce)
    for value in {made.value, wished}:
        receipt = derived.signed(replace(made, value=value))
        report = verify(derived.bundle(receipt, salt=salt, shown=()).data(), PINNED)
        if value == made.value:
            assert report.verdict is Verdict.VERIFIED, report.detail
        else:
            assert report.reason is Reason.SEED_MISMATCH


@given(st.text(alphabet="0123456789abcdefABCDEF xé", max_size=140))
def test_a_nonce_has_one_writing(text: str) -> None:
    nonce = read_nonce(text)
    small = all(digit in "0123456789abcdef" for digit in text)
    assert (nonce is not None) == (small and len(text) % 2 == 0 and 32 <= len(text) <= 128)
    assert nonce is None or nonce.hex() == text


def ground_by_id(seed: Seed) -> Bundle:
    """An operator who tries ids, as derived/1 let him, until a seed suits."""
    ids = (hashlib.sha256(bytes([number])).hexdigest() for number in range(256))
    salt = salt_of(derived.SECRET, derived.NONCE)
    receipt = min(ids, key=lambda tried: value_of(salt, derived.NONCE, tried))
    ground = replace(seed, value=value_of(salt, derived.NONCE, receipt))
    return world.restated(lambda statement: statement["predicate"].update(receipt=receipt, seed=ground.to_json()))


def ground_by_nonce(seed: Seed) -> Bundle:
    """One who tries nonces, and says that the caller drew the one that suits: only the caller can tell."""
    tried = (derived.seed(hashlib.sha256(bytes([number])).digest()) for number in range(256))
    ground = min(tried, key=lambda each: each.value)
    assert ground.value < seed.value / 8
    return derived.bundle(derived.signed(ground), salt=salt_of(derived.SECRET, bytes.fromhex(ground.nonce)))


def ground_by_salt(seed: Seed) -> Bundle:
    """One who tries salts; the secret is published all the same."""
    tried = (hashlib.sha256(bytes([number])).digest() for number in range(256))
    salt = min(tried, key=lambda each: derived.seed(salt=each).value)
    return derived.bundle(derived.signed(derived.seed(salt=salt)), salt=salt)


@pytest.mark.parametrize(
    ("grinds", "reason"),
    [
        (ground_by_id, Reason.STATEMENT_CONTRADICTION),
        (ground_by_salt, Reason.SEED_NOT_DERIVED),
        (ground_by_nonce, None),
    ],
)
def test_who_grinds_is_caught_and_who_changes_the_nonce_names_it(grinds, reason) -> None:
    report = verify(grinds(derived.seed()).data(), PINNED)
    assert report.reason is reason, report.detail
    if reason is None:
        assert report.statement is not None
        assert report.statement.seed.nonce != derived.NONCE.hex(), "whoever drew another sees it"


@pytest.mark.parametrize(
    ("made", "standing"),
    [
        (derived.bundle(), SeedStanding.DERIVED),
        (derived.bundle(shown=("opened",)), SeedStanding.COMMITTED),
        (derived.bundle(derived.signed(derived.seed(by=BY_SERVER))), SeedStanding.SERVERS),
        (derived.bundle(early=True), SeedStanding.SERVERS),
        (derived.bundle(late=True, shown=("published",)), SeedStanding.SERVERS),
        (replace(derived.bundle(), seed=None), SeedStanding.WITHHELD),
        (world.bundle(), SeedStanding.SERVERS),
        (world.bundle(world.signed(seed=Seed(Scheme.CALLER, 42))), SeedStanding.CALLERS),
    ],
    ids=["published", "committed", "server's nonce", "too late", "made afterwards", "withheld", "drawn", "caller's"],
)
def test_how_far_a_seed_can_be_derived_is_told(made: Bundle, standing: SeedStanding) -> None:
    report = verify(made.data(), PINNED)
    assert report.seed is standing
    assert report.to_json()["seed"] == standing.value


OPENED, RECEIPT, PUBLISHED = 4, 6, 8  # where derived.entries_with puts them


@pytest.mark.parametrize(
    ("opened", "published", "is_another", "standing"),
    [
        (OPENED, PUBLISHED, False, SeedStanding.DERIVED),
        (OPENED, PUBLISHED, True, SeedStanding.COMMITTED),
        (None, PUBLISHED, False, SeedStanding.SERVERS),
        (RECEIPT + 1, PUBLISHED, False, SeedStanding.SERVERS),
        (OPENED, RECEIPT - 1, False, SeedStanding.SERVERS),
    ],
    ids=["in order", "of another ledger", "never opened", "opened afterwards", "published before"],
)
def test_a_copy_of_the_ledger_says_when_a_secret_was_there(opened, published, is_another, standing) -> None:
    made = derived.bundle(shown=())
    ledger = derived.signed().statement.ledger
    copied = PublishedSecret(derived.SECRET, published, opened, "other.example.org" if is_another else ledger)
    report = verify(made.data(), replace(PINNED, secrets=(copied,)))
    assert report.seed is standing
    assert (report.verdict is Verdict.PARTIAL) == (standing is SeedStanding.SERVERS)

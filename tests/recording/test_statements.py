"""What a running Commun says of itself, the key that it signs receipts with, and where its seeds come from."""

import hashlib
import hmac
import stat
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commun.ledger.entries import ReceiptKeyStatement, read_statement
from commun.receipts.statement import BY_CALLER, Scheme
from commun.recording.epochs import EPOCH_S, derived_seed, drawn_seed, is_over, new_epoch, seed_of
from commun.recording.errors import BadReceiptKeyFile
from commun.recording.receipt_key import open_receipt_key
from commun.recording.statements import (
    active_keys,
    as_name,
    key_statements,
    model_statement,
    retention_statement,
    software_statement,
)

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
KEY, OTHER = (f"ed25519:{digit * 64}" for digit in "ab")


@dataclass
class Loaded:
    name: str = "openvino-genai"
    version: str = "2026.4.1.0"
    profile: str = "exact"
    model_digest: str = "ab" * 32
    notes: dict[str, str] = field(default_factory=lambda: {"openvino": "2026.4.1-22000 release"})


def test_a_server_says_which_versions_started() -> None:
    versions = software_statement(now=NOW).versions
    assert {"commun", "python"} <= set(versions)
    assert read_statement(software_statement(now=NOW).data()).versions == versions


def test_a_model_of_our_own_is_told_with_its_build_and_a_remote_one_is_not() -> None:
    told = model_statement(Loaded(), now=NOW)
    assert (told.model, told.build, told.profile) == ("ab" * 32, "2026.4.1-22000-release", "exact")
    assert model_statement(Loaded(model_digest=""), now=NOW) is None
    assert model_statement(Loaded(notes={}), now=NOW).build == "unknown"


def test_what_was_erased_is_told_as_numbers() -> None:
    assert retention_statement(conversations=3, days=30, now=NOW).files == 0


@given(st.text())
def test_any_name_from_outside_fits_a_statement(text) -> None:
    told = model_statement(Loaded(name=text, version=text, notes={"openvino": text}), now=NOW)
    assert read_statement(told.data()) == told
    assert " " not in as_name(text)


def test_a_key_that_signs_from_now_on_retires_the_others() -> None:
    first = key_statements([], KEY, now=NOW)
    assert [(one.key, one.event) for one in first] == [(KEY, "added")]
    assert key_statements(first, KEY, now=NOW) == []
    second = key_statements(first, OTHER, now=NOW)
    assert [(one.key, one.event) for one in second] == [(KEY, "retired"), (OTHER, "added")]
    back = key_statements([*first, *second], KEY, now=NOW)
    assert [(one.key, one.event) for one in back] == [(OTHER, "retired"), (KEY, "added")]
    assert active_keys([*first, *second, *back]) == [KEY]
    assert isinstance(back[0], ReceiptKeyStatement)


def test_the_receipt_key_is_made_once_and_only_its_owner_reads_it(tmp_path) -> None:
    path = tmp_path / "keys" / "receipts.key"
    made = open_receipt_key(path)
    assert open_receipt_key(path).key == made.key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert made.seed.hex() in path.read_text()
    assert made.seed.hex() not in repr(made)


@pytest.mark.parametrize("text", ["", "x", "commun-receipt-key/1:00", "commun-receipt-key/1:" + "A" * 64, "\xff" * 90])
def test_what_is_no_key_is_refused_and_not_replaced(tmp_path, text) -> None:
    path = tmp_path / "receipts.key"
    path.write_text(text)
    with pytest.raises(BadReceiptKeyFile, match=r"receipts\.key"):
        open_receipt_key(path)
    assert path.read_text() == text


def test_a_link_or_a_folder_in_the_keys_place_is_refused(tmp_path) -> None:
    elsewhere = tmp_path / "elsewhere"
    open_receipt_key(elsewhere)
    link, folder = tmp_path / "link", tmp_path / "folder"
    link.symlink_to(elsewhere)
    folder.mkdir()
    for path in (link, folder):
        with pytest.raises(BadReceiptKeyFile):
            open_receipt_key(path)


def test_a_seed_is_computed_as_the_specification_has_it() -> None:
    secret, nonce = b"s" * 32, bytes(range(20))
    epoch = replace(new_epoch(now=1000.0), secret=secret, sha256=hashlib.sha256(secret).hexdigest())
    seed = derived_seed(epoch, nonce, by=BY_CALLER)
    salt = hmac.new(secret, b"commun-seed/2\n" + nonce, hashlib.sha256).digest()
    receipt = hashlib.sha256(b"commun-receipt-id/2\n" + hashlib.sha256(secret).digest() + nonce).digest()
    drawn = hashlib.sha256(salt + nonce + receipt).digest()
    assert (seed.scheme, seed.nonce_by) == (Scheme.DERIVED, "caller")
    assert (seed.epoch, seed.salt, seed.nonce) == (epoch.sha256, hashlib.sha256(salt).hexdigest(), nonce.hex())
    assert seed.value == int.from_bytes(drawn[-4:], "big")
    assert derived_seed(epoch, nonce + b"x", by=BY_CALLER).value != seed.value


def test_who_sends_no_nonce_is_given_one_and_the_receipt_says_whose_it_is() -> None:
    epoch = new_epoch(now=1000.0)
    ours, theirs = seed_of(epoch, None), seed_of(epoch, b"n" * 16)
    assert (ours.nonce_by, len(ours.nonce)) == ("server", 64)
    assert (theirs.nonce_by, theirs.nonce) == ("caller", (b"n" * 16).hex())
    assert seed_of(epoch, None).nonce != ours.nonce
    assert seed_of(None, b"n" * 16).scheme is Scheme.DRAWN


def test_a_day_is_over_after_a_day_and_when_the_clock_was_set_back() -> None:
    epoch = new_epoch(now=1000.0)
    assert epoch.sha256 == hashlib.sha256(epoch.secret).hexdigest()
    assert not is_over(epoch, now=1000.0)
    assert not is_over(epoch, now=1000.0 + EPOCH_S - 1)
    assert is_over(epoch, now=1000.0 + EPOCH_S)
    assert is_over(epoch, now=999.0)
    assert epoch.secret.hex() not in repr(epoch)


def test_where_there_is_no_secret_the_seed_is_drawn_and_says_so() -> None:
    seeds = {drawn_seed().value for _ in range(50)}
    assert len(seeds) > 40
    assert drawn_seed().scheme is Scheme.DRAWN

"""Keys of logs and witnesses: one text, one key; weak ones refused when they are made known; Wycheproof."""

import base64
import hashlib
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commun.ledger.errors import BadLogKey, WrongSignature
from commun.ledger.keys import (
    ED25519,
    ED25519_COSIGNATURE,
    ML_DSA_44,
    SignerKey,
    VerifierKey,
    from_base64,
    key_id_of,
    to_base64,
)
from ledger_vectors import KEYS, LOG, LOG_PQ, NOTES, WITNESS_A
from shared_vectors import vectors

P = 2**255 - 19
ORDER_EIGHT = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
PETER = NOTES["keys"]["peter"]


def test_signatures_verify_as_wycheproof_says():
    groups = json.loads((vectors("wycheproof") / "ed25519_test.json").read_text())["testGroups"]
    checked = 0
    for group in groups:
        key = VerifierKey("wycheproof.example", ED25519, bytes.fromhex(group["publicKey"]["pk"]))
        for case in group["tests"]:
            try:
                key.check_raw(bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
                result = "valid"
            except WrongSignature:
                result = "invalid"
            assert result == case["result"], case["comment"]
            checked += 1
    assert checked == 151


@pytest.mark.parametrize("name", NOTES["keys"])
def test_a_published_key_reads_and_writes_the_same(name: str):
    text = NOTES["keys"][name]["public"]
    assert VerifierKey.from_text(text).text() == text


@pytest.mark.parametrize("name", KEYS)
def test_our_keys_read_and_write_the_same(name: str):
    signer = SignerKey.from_text(KEYS[name]["private"])
    assert signer.text() == KEYS[name]["private"]
    assert signer.verifier.text() == KEYS[name]["public"]
    assert VerifierKey.from_text(KEYS[name]["public"]) == signer.verifier
    signer.verifier.check_raw(signer.sign_raw(b"text"), b"text")
    with pytest.raises(WrongSignature):
        signer.verifier.check_raw(signer.sign_raw(b"text"), b"other")
    for bad in (b"", bytes(64), bytes(2420), signer.sign_raw(b"text") + b"\x00", signer.sign_raw(b"text")[:-1]):
        with pytest.raises(WrongSignature):
            signer.verifier.check_raw(bad, b"text")


def test_the_seed_of_a_key_is_never_printed():
    assert to_base64(LOG.seed) not in repr(LOG)
    assert LOG.seed.hex() not in repr(LOG)
    assert repr(LOG.seed) not in repr(LOG)


def test_one_key_has_another_id_for_each_type_of_signature():
    ids = {key_id_of("log.example", kind, LOG.verifier.public) for kind in (ED25519, ED25519_COSIGNATURE)}
    assert len(ids) == 2


@pytest.mark.parametrize(("text", "read"), [(PETER["public"], VerifierKey), (PETER["private"], SignerKey)])
def test_no_part_of_a_key_and_no_key_with_a_changed_character_is_a_key(text: str, read: Any):
    for start in range(len(text)):
        for end in range(start, len(text) + 1):
            if (start, end) != (0, len(text)):
                with pytest.raises(BadLogKey):
                    read.from_text(text[start:end])
    for at, char in enumerate(text):
        with pytest.raises(BadLogKey):
            read.from_text(text[:at] + chr(ord(char) + 1) + text[at + 1 :])


@pytest.mark.parametrize("text", NOTES["refused_keys"])
def test_a_key_of_another_type_or_length_is_refused(text: str):
    with pytest.raises(BadLogKey):
        VerifierKey.from_text(text)


def with_id(name: str, kind: int, public: bytes) -> str:
    key_id = hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4].hex()
    return f"{name}+{key_id}+{base64.b64encode(bytes([kind]) + public).decode()}"


@pytest.mark.parametrize("kind", [ED25519, ED25519_COSIGNATURE])
@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", [0, 1, P - 1, ORDER_EIGHT, P - ORDER_EIGHT, P, P + 1, P + 3, 2**255 - 1, 2])
def test_weak_keys_and_keys_in_other_writings_are_refused_when_they_are_made_known(y: int, sign: int, kind: int):
    public = (y | sign << 255).to_bytes(32, "little")
    with pytest.raises(BadLogKey):
        VerifierKey.from_text(with_id("log.example", kind, public))
    with pytest.raises(BadLogKey):
        VerifierKey("log.example", kind, public)


@pytest.mark.parametrize("kind", [0, 2, 3, 5, 7, 0xFA, 0xFF])
def test_a_type_of_signature_that_is_not_known_is_refused(kind: int):
    with pytest.raises(BadLogKey):
        VerifierKey.from_text(with_id("log.example", kind, LOG.verifier.public))
    with pytest.raises(BadLogKey):
        SignerKey("log.example", kind, bytes(32))


@pytest.mark.parametrize("length", [0, 1, 31, 33, 1311, 1312, 1313])
def test_a_key_of_another_length_is_refused(length: int):
    for kind, right in ((ED25519, 32), (ED25519_COSIGNATURE, 32), (ML_DSA_44, 1312)):
        if length != right:
            with pytest.raises(BadLogKey):
                VerifierKey.from_text(with_id("log.example", kind, b"\x05" * length))


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "a+b", "a\tb", "a\nb", "a\u00a0b", "a\u2028b", "a\u3000", "\x00", "a\x1f", "\ud800", "é" * 128],
)
def test_a_name_with_a_space_a_plus_or_a_control_character_is_refused(name: str):
    with pytest.raises(BadLogKey):
        VerifierKey(name, ED25519, LOG.verifier.public)


@pytest.mark.parametrize("name", ["a", "log.example/é", "é" * 127, "a" * 255, "журнал", "a\u200bb"])
def test_a_name_in_any_script_is_kept(name: str):
    key = VerifierKey(name, ED25519, LOG.verifier.public)
    assert VerifierKey.from_text(key.text()) == key


def test_base64_has_one_writing():
    assert from_base64("") == b""
    assert from_base64("AA==") == b"\x00"
    for text in ("AB==", "AA=", "AA", "A", "AA==\n", " AA==", "AA==AA==", "A-__", "AAé=", "====", "AAA\x00"):
        assert from_base64(text) is None


def test_an_upper_case_key_id_is_another_writing():
    name, key_id, material = PETER["public"].split("+", 2)
    with pytest.raises(BadLogKey):
        VerifierKey.from_text(f"{name}+{key_id.upper()}+{material}")


@given(st.text(max_size=100) | st.binary(max_size=100).map(lambda data: data.decode("latin-1")))
def test_whatever_a_key_is_read_from_only_its_error_escapes(text: str):
    for read in (VerifierKey.from_text, SignerKey.from_text):
        with pytest.raises(BadLogKey):
            read(text)
        with pytest.raises(BadLogKey):
            read("PRIVATE+KEY+" + text)


@given(st.data())
def test_a_mutated_key_is_refused_or_is_a_key(data: st.DataObject):
    text = data.draw(st.sampled_from([LOG.verifier.text(), LOG_PQ.verifier.text(), WITNESS_A.text()]))
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.characters()) + text[at + data.draw(st.integers(0, 3)) :]
    read = SignerKey if text.startswith("PRIVATE") else VerifierKey
    with suppress(BadLogKey):
        assert read.from_text(changed).text() == changed

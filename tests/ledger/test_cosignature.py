"""Cosignatures: what is signed, to the byte; times, names, subtrees."""

import struct
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commun.ledger import cosignature
from commun.ledger.checkpoint import Checkpoint
from commun.ledger.cosignature import (
    CosignatureVerifier,
    check_subtree_cosignature,
    cosigned_message,
    open_checkpoint,
    sign_checkpoint,
    sign_subtree,
    time_of,
    verifier_for,
)
from commun.ledger.errors import (
    BadCheckpoint,
    BadLogKey,
    LedgerError,
    NotSigned,
    OutOfRange,
    UnknownLog,
    WrongSignature,
)
from commun.ledger.keys import ED25519_COSIGNATURE, ML_DSA_44, SignerKey
from commun.ledger.merkle import MAX_SIZE
from commun.ledger.note import Note, Signature
from commun.ledger.proof import LogProof
from ledger_vectors import LOG, LOG_PQ, NOTES, PROOF, WITNESS_A, WITNESS_B, WITNESS_C

HEAD = Checkpoint(LOG.name, 300, bytes(range(32)))
NOW = 1_795_330_800
ALL = [LOG, LOG_PQ, WITNESS_A, WITNESS_B, WITNESS_C]


def signed(*signatures: Signature, head: Checkpoint = HEAD) -> bytes:
    return Note(head.text(), signatures).data()


def test_the_message_of_an_ed25519_cosignature_is_the_specifications():
    text = NOTES["c2sp_cosigned"].split("\n\n")[0] + "\n"
    message = cosigned_message(WITNESS_A.verifier, Checkpoint.from_text(text), NOTES["c2sp_time"])
    assert message == f"cosignature/v1\ntime 1679315147\n{text}".encode()
    line = Note.from_bytes(NOTES["c2sp_cosigned"].encode()).signatures[1]
    assert time_of(line.value) == NOTES["c2sp_time"]


def test_the_message_of_an_ml_dsa_44_cosignature_is_the_specifications():
    name, origin = WITNESS_B.name.encode(), HEAD.origin.encode()
    written_by_hand = (
        b"subtree/v1\n\x00"
        + struct.pack(">B", len(name)) + name
        + struct.pack(">Q", NOW)
        + struct.pack(">B", len(origin)) + origin
        + struct.pack(">QQ", 0, 300)
        + HEAD.root
    )  # fmt: skip
    assert cosigned_message(WITNESS_B.verifier, HEAD, NOW) == written_by_hand


def test_the_message_is_what_is_signed():
    for key in (WITNESS_A, WITNESS_B):
        value = sign_checkpoint(HEAD, key, time=NOW).value
        assert value[:8] == NOW.to_bytes(8, "big")
        key.verifier.check_raw(value[8:], cosigned_message(key.verifier, HEAD, NOW))
        assert len(value) == {ED25519_COSIGNATURE: 72, ML_DSA_44: 2428}[key.kind]


def test_another_implementations_signatures_verify():
    opened = open_checkpoint(
        LogProof.from_bytes(PROOF).note.data(),
        log=[LOG.verifier],
        others=[WITNESS_A.verifier, WITNESS_B.verifier, WITNESS_C.verifier],
    )
    assert [(item.key.name, item.time) for item in opened.cosignatures] == [
        (LOG.name, None),
        (WITNESS_A.name, 1795330801),
        (WITNESS_B.name, 1795330802),
    ]


@pytest.mark.parametrize("key", ALL, ids=lambda key: f"{key.name}-{key.kind}")
def test_a_signature_of_each_type_is_of_its_text_its_time_and_its_name_only(key: SignerKey):
    line = sign_checkpoint(HEAD, key, time=NOW)
    verifier = verifier_for(key.verifier)
    verifier.check(HEAD.text(), line.value)
    others = [replace(HEAD, size=301), replace(HEAD, root=bytes(32)), replace(HEAD, origin="other.example")]
    for head in others:
        with pytest.raises(WrongSignature):
            verifier.check(head.text(), line.value)
    for value in (
        b"",
        line.value[:7],
        line.value[:8],
        line.value[:-1],
        line.value + b"\x00",
        b"\xff" * len(line.value),
    ):
        with pytest.raises(WrongSignature):
            verifier.check(HEAD.text(), value)
    for at in (0, 7, 8, len(line.value) - 1):
        value = line.value[:at] + bytes([line.value[at] ^ 1]) + line.value[at + 1 :]
        with pytest.raises(WrongSignature):
            verifier.check(HEAD.text(), value)


def test_one_type_of_signature_is_never_taken_for_another():
    as_log = SignerKey(WITNESS_A.name, 1, WITNESS_A.seed)
    plain = sign_checkpoint(HEAD, as_log)
    timed = sign_checkpoint(HEAD, WITNESS_A, time=NOW)
    with pytest.raises(WrongSignature):
        verifier_for(WITNESS_A.verifier).check(HEAD.text(), NOW.to_bytes(8, "big") + plain.value)
    with pytest.raises(WrongSignature):
        verifier_for(as_log.verifier).check(HEAD.text(), timed.value[8:])


def test_only_ml_dsa_44_commits_to_the_cosigners_name():
    for key, commits in ((WITNESS_A, False), (WITNESS_B, True)):
        line = sign_checkpoint(HEAD, key, time=NOW)
        renamed = verifier_for(SignerKey("renamed.example", key.kind, key.seed).verifier)
        if commits:
            with pytest.raises(WrongSignature):
                renamed.check(HEAD.text(), line.value)
        else:
            renamed.check(HEAD.text(), line.value)


def test_extension_lines_are_covered_by_ed25519_and_not_signed_with_ml_dsa_44():
    extended = replace(HEAD, extensions=("hint",))
    line = sign_checkpoint(extended, WITNESS_A, time=NOW)
    with pytest.raises(WrongSignature):
        verifier_for(WITNESS_A.verifier).check(HEAD.text(), line.value)
    with pytest.raises(BadCheckpoint):
        sign_checkpoint(extended, WITNESS_B, time=NOW)
    verifier_for(WITNESS_B.verifier).check(extended.text(), sign_checkpoint(HEAD, WITNESS_B, time=NOW).value)


def test_an_origin_that_ml_dsa_44_has_no_room_for_is_not_signed():
    with pytest.raises(BadCheckpoint):
        sign_checkpoint(replace(HEAD, origin="a" * 256), WITNESS_B, time=NOW)
    for length in (1, 255):
        line = sign_checkpoint(replace(HEAD, origin="a" * length), WITNESS_B, time=NOW)
        verifier_for(WITNESS_B.verifier).check(replace(HEAD, origin="a" * length).text(), line.value)
    with pytest.raises(LedgerError):
        verifier_for(WITNESS_B.verifier).check(replace(HEAD, origin="a" * 256).text(), line.value)


@pytest.mark.parametrize("time", [-1, MAX_SIZE + 1, 2**64, True, 1.5])
def test_a_time_that_cannot_be_one_is_not_signed(time):
    for key in (WITNESS_A, WITNESS_B):
        with pytest.raises(OutOfRange):
            sign_checkpoint(HEAD, key, time=time)


def test_a_signed_time_beyond_2_to_the_63_is_refused():
    time = 2**63
    message = f"cosignature/v1\ntime {time}\n{HEAD.text()}".encode()
    with pytest.raises(WrongSignature):
        verifier_for(WITNESS_A.verifier).check(HEAD.text(), time.to_bytes(8, "big") + WITNESS_A.sign_raw(message))


def test_a_plain_key_makes_no_cosignature():
    with pytest.raises(BadLogKey):
        CosignatureVerifier(LOG.verifier)


def test_subtrees_are_signed_and_a_time_only_where_they_start_at_leaf_0():
    root = bytes(32)
    line = sign_subtree(WITNESS_B, origin="log.example", start=8, end=13, root=root)
    known = {"origin": "log.example", "start": 8, "end": 13, "root": root}
    assert check_subtree_cosignature(WITNESS_B.verifier, line.value, **known) == 0
    for change in ({"origin": "other"}, {"start": 0}, {"end": 14}, {"root": b"\x01" * 32}):
        with pytest.raises(WrongSignature):
            check_subtree_cosignature(WITNESS_B.verifier, line.value, **known | change)
    with pytest.raises(WrongSignature):
        check_subtree_cosignature(WITNESS_B.verifier, b"\x00" * 7 + b"\x01" + line.value[8:], **known)
    with pytest.raises(OutOfRange):
        sign_subtree(WITNESS_B, **known, time=NOW)
    with pytest.raises(OutOfRange):
        sign_subtree(WITNESS_B, **known | {"start": 7})
    with pytest.raises(BadLogKey):
        sign_subtree(WITNESS_A, **known)
    with pytest.raises(BadCheckpoint):
        sign_subtree(WITNESS_B, **known | {"root": b""})
    with pytest.raises(BadCheckpoint):
        sign_subtree(WITNESS_B, **known | {"origin": ""})


def test_a_checkpoint_is_a_subtree_from_leaf_0():
    line = sign_checkpoint(HEAD, WITNESS_B, time=NOW)
    known = {"origin": HEAD.origin, "start": 0, "end": HEAD.size, "root": HEAD.root}
    assert check_subtree_cosignature(WITNESS_B.verifier, line.value, **known) == NOW


def test_a_log_may_sign_with_both_of_its_keys_or_with_either():
    plain, quantum = sign_checkpoint(HEAD, LOG), sign_checkpoint(HEAD, LOG_PQ, time=NOW)
    for lines in ((plain,), (quantum,), (plain, quantum)):
        opened = open_checkpoint(signed(*lines), log=[LOG.verifier, LOG_PQ.verifier])
        assert opened.checkpoint == HEAD
        assert len(opened.cosignatures) == len(lines)


def test_the_logs_own_signature_comes_first_and_is_needed():
    own, other = sign_checkpoint(HEAD, LOG), sign_checkpoint(HEAD, WITNESS_A, time=NOW)
    opened = open_checkpoint(signed(other, own), log=[LOG.verifier], others=[WITNESS_A.verifier])
    assert [item.key for item in opened.cosignatures] == [LOG.verifier, WITNESS_A.verifier]
    with pytest.raises(NotSigned):
        open_checkpoint(signed(other), log=[LOG.verifier], others=[WITNESS_A.verifier])
    with pytest.raises(NotSigned):
        open_checkpoint(signed(other), log=[LOG.verifier])


def test_a_log_speaks_for_its_own_origin_only():
    stranger = SignerKey("other.example", LOG.kind, WITNESS_C.seed)
    with pytest.raises(UnknownLog):
        open_checkpoint(signed(sign_checkpoint(HEAD, stranger)), log=[stranger.verifier])
    with pytest.raises(NotSigned):
        open_checkpoint(signed(sign_checkpoint(HEAD, stranger)), log=[stranger.verifier, LOG.verifier])
    opened = open_checkpoint(signed(sign_checkpoint(HEAD, stranger)), log=[stranger.verifier], origin=HEAD.origin)
    assert opened.checkpoint == HEAD
    with pytest.raises(UnknownLog):
        open_checkpoint(signed(sign_checkpoint(HEAD, LOG)), log=[LOG.verifier], origin="other.example")


def test_a_wrong_cosignature_of_a_known_witness_refuses_the_checkpoint():
    own, other = sign_checkpoint(HEAD, LOG), sign_checkpoint(replace(HEAD, size=299), WITNESS_A, time=NOW)
    with pytest.raises(WrongSignature):
        open_checkpoint(signed(own, other), log=[LOG.verifier], others=[WITNESS_A.verifier])
    assert open_checkpoint(signed(own, other), log=[LOG.verifier])


def test_a_key_that_is_log_and_witness_counts_once():
    own = sign_checkpoint(HEAD, LOG_PQ, time=NOW)
    opened = open_checkpoint(signed(own), log=[LOG_PQ.verifier], others=[LOG_PQ.verifier])
    assert len(opened.cosignatures) == 1


@settings(max_examples=60)
@given(st.data())
def test_a_mutated_checkpoint_is_refused_or_says_the_same(data: st.DataObject):
    whole = signed(sign_checkpoint(HEAD, LOG), SIGNED_A)
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:at] + data.draw(st.binary(max_size=3)) + whole[at + data.draw(st.integers(0, 3)) :]
    try:
        opened = open_checkpoint(changed, log=[LOG.verifier], others=[WITNESS_A.verifier])
    except LedgerError:
        return
    assert opened.checkpoint == HEAD


SIGNED_A = sign_checkpoint(HEAD, WITNESS_A, time=NOW)


@given(st.binary(max_size=90))
def test_whatever_a_cosignature_is_only_its_errors_escape(value: bytes):
    for key in (WITNESS_A, WITNESS_B):
        with pytest.raises(WrongSignature):
            verifier_for(key.verifier).check(HEAD.text(), value)
        with pytest.raises(LedgerError):
            verifier_for(key.verifier).check("no checkpoint\n", bytes(8) + value)
        with suppress(OutOfRange):
            assert cosignature.time_of(value) >= 0

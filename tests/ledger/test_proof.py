"""Proofs of logging: one file, offline, and every way in which it can be broken."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commun.ledger.checkpoint import Checkpoint
from commun.ledger.cosignature import sign_checkpoint
from commun.ledger.errors import (
    BadCheckpoint,
    BadNote,
    BadProof,
    BadProofFile,
    LedgerError,
    OutOfRange,
    TooFewWitnesses,
    UnknownLog,
    WrongSignature,
)
from commun.ledger.keys import to_base64
from commun.ledger.merkle import leaf_hash
from commun.ledger.note import Note
from commun.ledger.policy import Policy
from commun.ledger.proof import MAX_PROOF_BYTES, LogProof
from ledger_vectors import LOG, POLICY, PROOF, WITNESS_A

LEAF = leaf_hash(b"entry 123")
KNOWN = Policy.from_bytes(POLICY)
TEXT = PROOF.decode()
HEADER = "c2sp.org/tlog-proof@v1\n"


def refused(text: str) -> BadProofFile:
    with pytest.raises(BadProofFile) as caught:
        LogProof.from_bytes(text.encode())
    return caught.value


def test_the_published_proof_holds_and_reads_and_writes_the_same():
    proof = LogProof.from_bytes(PROOF)
    assert proof.data() == PROOF
    assert (proof.index, proof.extra, proof.checkpoint.size, len(proof.hashes)) == (123, b"a hint", 300, 9)
    witnessed = proof.check(LEAF, KNOWN)
    assert witnessed.signed.checkpoint == proof.checkpoint
    assert witnessed.standing.fulfilled


def test_a_proof_is_for_its_entry_only():
    with pytest.raises(BadProof):
        LogProof.from_bytes(PROOF).check(leaf_hash(b"entry 124"), KNOWN)
    with pytest.raises(BadProof):
        LogProof.from_bytes(PROOF).check(b"", KNOWN)
    with pytest.raises(BadProof):
        replace(LogProof.from_bytes(PROOF), index=122).check(LEAF, KNOWN)
    with pytest.raises(OutOfRange):
        replace(LogProof.from_bytes(PROOF), index=300).check(LEAF, KNOWN)


def test_a_proof_of_a_tree_of_one_has_no_hashes():
    head = Checkpoint(LOG.name, 1, LEAF)
    data = Note(head.text(), (sign_checkpoint(head, LOG),)).data()
    proof = LogProof.make(index=0, hashes=(), checkpoint=data)
    assert proof.data() == f"{HEADER}index 0\n\n".encode() + data
    assert LogProof.from_bytes(proof.data()) == proof
    assert proof.check(LEAF, Policy.from_bytes(f"log {LOG.verifier.text()}\nquorum none\n".encode()))
    assert proof.check(LEAF, Policy.from_bytes(b"quorum none\n"), logs=[LOG.verifier])


def test_the_extra_line_changes_nothing_that_is_verified():
    for extra in (None, b"another hint"):
        assert replace(LogProof.from_bytes(PROOF), extra=extra).check(LEAF, KNOWN)


def test_the_extra_line_has_a_bound():
    proof = replace(LogProof.from_bytes(PROOF), extra=bytes(65_536))
    assert LogProof.from_bytes(proof.data()) == proof


def test_a_checkpoint_of_an_unknown_log_or_with_a_missing_witness_is_refused():
    with pytest.raises(UnknownLog):
        LogProof.from_bytes(PROOF).check(LEAF, Policy.from_bytes(b"quorum none\n"))
    note = LogProof.from_bytes(PROOF).note
    with pytest.raises(TooFewWitnesses) as caught:
        replace(LogProof.from_bytes(PROOF), note=replace(note, signatures=note.signatures[:2])).check(LEAF, KNOWN)
    assert caught.value.standing.missing() == ("b",)


def test_a_forged_checkpoint_is_refused():
    forged = TEXT.replace("\n300\n", "\n301\n")
    with pytest.raises(WrongSignature):
        LogProof.from_bytes(forged.encode()).check(LEAF, KNOWN)


def test_another_wording_of_the_same_checkpoint_cannot_be_slipped_in():
    proof = LogProof.from_bytes(PROOF)
    with pytest.raises(BadProofFile):
        replace(proof, checkpoint=Checkpoint(LOG.name, 1, LEAF))


HASH = to_base64(bytes(32))
TAIL = "\n\n" + TEXT.split("\n\n", 1)[1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        HEADER,
        HEADER + "index 1\n",
        "c2sp.org/tlog-proof@v2\nindex 1" + TAIL,
        " " + HEADER + "index 1" + TAIL,
        HEADER.strip() + "\r\nindex 1" + TAIL,
        HEADER + HASH + TAIL,
        HEADER + "index" + TAIL,
        HEADER + "index " + TAIL,
        HEADER + "index 01" + TAIL,
        HEADER + "index -5" + TAIL,
        HEADER + "index +5" + TAIL,
        HEADER + "index 5 " + TAIL,
        HEADER + "index  5" + TAIL,
        HEADER + "index notanumber" + TAIL,
        HEADER + f"index {2**63}" + TAIL,
        HEADER + "index " + "9" * 5000 + TAIL,
        HEADER + "index \u0661" + TAIL,
        HEADER + "Index 1" + TAIL,
        HEADER + "index 1\nindex 1" + TAIL,
        HEADER + "index 1\nextra AA==" + TAIL,
        HEADER + "extra AA==\nextra AA==\nindex 1" + TAIL,
        HEADER + "extra \nindex 1" + TAIL,
        HEADER + "extra\nindex 1" + TAIL,
        HEADER + "extra !!notbase64!!\nindex 1" + TAIL,
        HEADER + "extra AB==\nindex 1" + TAIL,
        HEADER + "extra " + to_base64(bytes(65_537)) + "\nindex 1" + TAIL,
        HEADER + "extra AA==" + TAIL,
        HEADER + "index 1\n!!notbase64!!" + TAIL,
        HEADER + "index 1\n" + to_base64(bytes(64)) + TAIL,
        HEADER + "index 1\n" + to_base64(bytes(31)) + TAIL,
        HEADER + "index 1\n" + HASH + " " + TAIL,
        HEADER + "index 1\n" + "\n".join([HASH] * 64) + TAIL,
    ],
)
def test_what_is_no_proof_is_refused(text: str):
    refused(text)


def test_what_is_no_checkpoint_below_it_is_refused_by_its_own_name():
    top = TEXT.split("\n\n", 1)[0]
    for tail in ("", "\n\n", "\n\n\n", "\n\ncheckpoint\n"):
        with pytest.raises((BadNote, BadProofFile, BadCheckpoint)):
            LogProof.from_bytes((top + tail).encode())
    line = "\n\N{EM DASH}" + TEXT.split("\n\N{EM DASH}", 1)[1]
    with pytest.raises(BadCheckpoint):
        LogProof.from_bytes((top + "\n\nno checkpoint\n" + line).encode())


def test_a_proof_beyond_its_bound_is_refused_before_it_is_read():
    with pytest.raises(BadProofFile):
        LogProof.from_bytes(b"\xff" * (MAX_PROOF_BYTES + 1))
    with pytest.raises(BadProofFile):
        LogProof.from_bytes(HEADER.encode() + b"\xff\n\n")


def test_what_no_proof_can_say_is_not_made():
    proof = LogProof.from_bytes(PROOF)
    for change in (
        {"index": -1},
        {"index": 2**63},
        {"index": True},
        {"hashes": (b"short",)},
        {"hashes": (bytes(32),) * 64},
        {"extra": b""},
        {"extra": bytes(65_537)},
    ):
        with pytest.raises(BadProofFile):
            replace(proof, **change)


@given(st.binary(max_size=200), st.text(max_size=100))
def test_whatever_a_proof_is_read_from_only_ledger_errors_escape(data: bytes, text: str):
    for candidate in (
        data,
        HEADER.encode() + data,
        HEADER.encode() + b"index 1\n\n" + data,
        (HEADER + text + TAIL).encode("utf-8", "surrogatepass"),
    ):
        with suppress(LedgerError):
            assert LogProof.from_bytes(candidate).data() == candidate


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_mutated_proof_is_refused_or_differs_in_nothing_that_counts(data: st.DataObject):
    at = data.draw(st.integers(0, 900) | st.integers(0, len(PROOF) - 1))
    changed = PROOF[:at] + data.draw(st.binary(max_size=3)) + PROOF[at + data.draw(st.integers(0, 3)) :]
    try:
        proof = LogProof.from_bytes(changed)
        proof.check(LEAF, KNOWN)
    except LedgerError:
        return
    original = LogProof.from_bytes(PROOF)
    assert proof.data() == changed
    assert (proof.index, proof.hashes, proof.checkpoint) == (original.index, original.hashes, original.checkpoint)


def test_a_witness_that_signed_another_head_refuses_the_proof():
    proof = LogProof.from_bytes(PROOF)
    other = sign_checkpoint(replace(proof.checkpoint, size=299), WITNESS_A, time=1)
    with pytest.raises(WrongSignature):
        replace(proof, note=proof.note.with_signatures([other])).check(LEAF, KNOWN)

"""The witness's rules: the requests of litewitness's own test with their statuses, and those that it does not have."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive_tree
from commun.errors import CommunError
from commun.ledger.checkpoint import Checkpoint
from commun.ledger.cosignature import open_checkpoint, sign_checkpoint
from commun.ledger.keys import ED25519, ED25519_COSIGNATURE, ML_DSA_44, SignerKey, VerifierKey, to_base64
from commun.ledger.merkle import EMPTY_ROOT, leaf_hash
from commun.ledger.note import Note, Signature
from commun.ledger.witness import (
    MAX_PROOF_LINES,
    MAX_REQUEST_BYTES,
    BadSubmission,
    NotConsistent,
    NotTheLogs,
    NotWitnessed,
    OtherSize,
    Submission,
    SubmissionTooLarge,
    WitnessRefusal,
    check_growth,
    check_signed,
    cosign,
)

ORIGIN = "log.example/ours"
KEY = SignerKey(ORIGIN, ED25519, b"k" * 32)
WITNESS = SignerKey("witness.example/w", ED25519_COSIGNATURE, b"w" * 32)
WITNESS_PQ = SignerKey("witness.example/w", ML_DSA_44, b"q" * 32)
LEAVES = [leaf_hash(b"entry %d" % number) for number in range(20)]


def head(size: int, leaves: list[bytes] = LEAVES, origin: str = ORIGIN) -> Checkpoint:
    return Checkpoint(origin, size, naive_tree.root(leaves[:size]))


def signed(checkpoint: Checkpoint, key: SignerKey = KEY) -> Note:
    return Note(checkpoint.text(), (sign_checkpoint(checkpoint, key, time=1),))


def submission(old: int, size: int, leaves: list[bytes] = LEAVES, **changes: object) -> Submission:
    proof = naive_tree.proof(old, leaves[:size]) if 0 < old < size else []
    return Submission.make(old, changes.get("proof", proof), signed(head(size, leaves)))


def decide(request: Submission | bytes, latest: Checkpoint | None, keys: tuple[SignerKey, ...] = (KEY,)) -> int:
    """The status, as the witness would answer."""
    try:
        request = Submission.from_bytes(request if isinstance(request, bytes) else request.data())
        check_signed(request, [key.verifier for key in keys])
        check_growth(request, latest)
    except WitnessRefusal as error:
        return error.status
    return 200


# --- the nine requests of torchwood's cmd/litewitness/testdata/litewitness.txt, with its log's key and signatures ---

SIGSUM = "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562"
SIGSUM_KEY = VerifierKey(
    SIGSUM, ED25519, bytes.fromhex("ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f")
)
ITEMS = [bytes([42, number]) + bytes(30) for number in range(5)]
SIGNATURES = {
    1: "UgIom7fPZTqpxWWhyjWduBvTvGVqsokMbqTArsQilegKoFBJQjUFAmQ0+YeSPM3wfUQMFSzVnnNuWRTYrajXpNUbIQY=",
    3: "UgIom2VbtIcdFbwFAy1n7s6IkAxIY6J/GQOTuZF2ORV39d75cbAj2aQYwyJre36kezNobZs4SUUdrcawfAB8WVrx6go=",
    5: "UgIomw/EOJmWi0i1FQsOj+etB7F8IccFam/jgd6wzRns4QPVmyEZtdvl1U2KEmLOZ/ASRcWJi0tW90dJWAShei7sDww=",
}


def posted(old: int, proof: list[bytes], size: int, *, origin: str = SIGSUM, signature: str = "") -> bytes:
    lines = [f"old {old}", *map(to_base64, proof), "", origin, str(size), to_base64(naive_tree.root(ITEMS[:size]))]
    return "\n".join([*lines, "", f"— {origin} {signature or SIGNATURES[size]}", ""]).encode()


def witness_all(requests: list[bytes]) -> list[int | str]:
    """The statuses, one after the other; for 409 the size that is told."""
    latest, answers = None, []
    for request in requests:
        try:
            read = Submission.from_bytes(request)
            check_signed(read, [SIGSUM_KEY])
            latest = check_growth(read, latest)
            answers.append(200)
        except OtherSize as error:
            answers.append(f"409 {error.size}")
        except WitnessRefusal as error:
            answers.append(error.status)
    return answers


def test_the_requests_of_litewitness_are_answered_as_it_answers_them() -> None:
    grown = naive_tree.proof(1, ITEMS[:3])
    assert grown == [ITEMS[1], ITEMS[2]]
    wrong = [grown[0], ITEMS[2][:-2] + b"\x00\x10"]
    other = f"{SIGSUM[:-1]}3"
    flipped = SIGNATURES[3].replace("8WVrx6go=", "8WVrx6gw=")
    assert witness_all(
        [
            posted(0, [], 1),
            posted(1, grown, 3, signature=flipped),
            posted(1, grown, 3, origin=other),
            posted(1, [], 3),
            posted(1, wrong, 3),
            posted(1, grown, 3),
            posted(1, naive_tree.proof(1, ITEMS), 5),
            posted(3, naive_tree.proof(3, ITEMS), 5),
            posted(0, [], 5),
        ]
    ) == [200, 403, 404, 422, 422, 200, "409 3", 200, "409 5"]


def test_litewitness_sends_its_wrong_signature_in_a_base64_that_is_refused_as_such_here() -> None:
    """Its last character sets two bits that say nothing; Go reads it, and answers 403. A note has one writing here."""
    loose = SIGNATURES[3].replace("6go=", "6gx=")
    assert witness_all([posted(0, [], 1), posted(1, naive_tree.proof(1, ITEMS[:3]), 3, signature=loose)]) == [200, 400]


# --- what the specification asks beyond them ---


def test_a_head_is_compared_with_the_latest_and_with_nothing_else() -> None:
    assert decide(submission(0, 7), None) == 200
    assert decide(submission(7, 7), head(7)) == 200
    assert decide(submission(7, 12), head(7)) == 200
    assert decide(submission(0, 0), None) == 200
    assert decide(submission(0, 12), head(0)) == 200
    assert decide(submission(5, 12), head(7)) == 409
    assert decide(submission(7, 12), None) == 409
    assert decide(submission(0, 5), head(7)) == 409


def test_every_growth_up_to_20_is_cosigned_and_a_rewritten_beginning_never() -> None:
    forked = [leaf_hash(b"another"), *LEAVES[1:]]
    for old in range(1, 20):
        for size in range(old, 20):
            assert decide(submission(old, size), head(old)) == 200
            assert decide(submission(old, size, forked), head(old)) == 422


def test_the_order_is_form_origin_signature_old_size_latest_size_growth() -> None:
    stranger = SignerKey("stranger.example", ED25519, b"s" * 32)
    everything_wrong = Submission.make(9, [bytes(32)], signed(head(5, origin="stranger.example"), stranger))
    assert decide(everything_wrong, head(7)) == 404
    unsigned = Submission.make(9, [bytes(32)], Note(head(5).text(), signed(head(5), stranger).signatures))
    assert decide(unsigned, head(7)) == 403
    assert decide(Submission.make(9, [bytes(32)], signed(head(5))), head(7)) == 400
    assert decide(Submission.make(5, [bytes(32)], signed(head(5))), head(7)) == 409
    assert decide(Submission.make(5, [bytes(32)], signed(head(5))), head(5)) == 422


def test_from_nothing_there_is_no_proof_and_an_empty_tree_has_one_root() -> None:
    assert decide(submission(0, 7, proof=[bytes(32)]), None) == 422
    text = f"{ORIGIN}\n0\n{to_base64(bytes(32))}\n"
    line = Signature(ORIGIN, KEY.verifier.key_id, KEY.sign_raw(text.encode())).line()
    assert decide(f"old 0\n\n{text}\n{line}".encode(), None) == 422
    assert decide(f"old 0\n\n{text}\n{line}".encode(), head(7)) == 409
    assert decide(f"old 0\n\n{text}\n{line}".replace(ORIGIN, "x").encode(), None) == 404
    assert decide(f"old 1\n\n{text}\n{line}".encode(), None) == 400
    assert Checkpoint(ORIGIN, 0, EMPTY_ROOT) == head(0)


def test_a_log_that_signs_as_a_cosigner_does_is_witnessed_too() -> None:
    for kind in (ED25519_COSIGNATURE, ML_DSA_44):
        key = SignerKey(ORIGIN, kind, b"p" * 32)
        request = Submission.make(0, [], signed(head(3), key))
        assert decide(request, None, (key,)) == 200
        assert decide(request, None, (KEY, key)) == 200
        assert decide(request, None, (KEY,)) == 403


def test_lines_of_strangers_are_ignored_and_not_kept_and_a_wrong_line_of_the_log_refuses() -> None:
    note = signed(head(3)).with_signatures([Signature("stranger", b"1234", b"x" * 64)])
    request = Submission.make(0, [], note)
    assert check_signed(request, [KEY.verifier]) == signed(head(3))
    second = SignerKey(ORIGIN, ED25519, b"2" * 32)
    wrong = note.with_signatures([Signature(ORIGIN, second.verifier.key_id, b"x" * 64)])
    assert decide(Submission.make(0, [], wrong), None, (KEY,)) == 200
    assert decide(Submission.make(0, [], wrong), None, (KEY, second)) == 403


def test_both_keys_cosign_with_the_time_and_anybody_can_verify_it() -> None:
    note = signed(head(5))
    lines = cosign(head(5), [WITNESS, WITNESS_PQ], time=1_800_000_000)
    opened = open_checkpoint(
        note.with_signatures(lines).data(), log=[KEY.verifier], others=[WITNESS.verifier, WITNESS_PQ.verifier]
    )
    assert {item.key.kind: item.time for item in opened.cosignatures[1:]} == {
        ED25519_COSIGNATURE: 1_800_000_000,
        ML_DSA_44: 1_800_000_000,
    }
    with pytest.raises(ValueError):
        cosign(head(5), [WITNESS], time=0)


def test_what_ml_dsa_could_not_state_is_stated_by_the_other_key_alone() -> None:
    extended = Checkpoint(ORIGIN, 1, LEAVES[0], ("extension",))
    long = Checkpoint("l" * 256, 1, LEAVES[0])
    for checkpoint in (extended, long):
        assert [line.key_id for line in cosign(checkpoint, [WITNESS, WITNESS_PQ], time=1)] == [WITNESS.verifier.key_id]


def test_what_is_no_request_is_400_whatever_is_wrong_with_it() -> None:
    good = submission(5, 12).data()
    line = good.split(b"\n")[1]
    assert decide(good, head(5)) == 200
    for bad in (
        b"",
        b"\n\n",
        b"old\n\n",
        good.replace(b"old 5", b"old 05"),
        good.replace(b"old 5", b"old  5"),
        good.replace(b"old 5", b"old -5"),
        good.replace(b"old 5", b"old 9223372036854775808"),
        good.replace(b"old 5", "old ٥".encode()),
        good.replace(b"old 5", b"new 5"),
        good.replace(b"old 5", b"old 5\r"),
        good.replace(line, line[:-2] + b"\n", 1),
        good.replace(line, to_base64(bytes(31)).encode(), 1),
        good.replace(line, b" " + line, 1),
        good.replace(line, line.replace(b"=", b""), 1),
        good.replace(b"\n\n", b"\n", 1),
        good[:-1],
        good + b"\n",
        good.replace(b"\n12\n", b"\n012\n"),
        good.replace(b"\n12\n", b"\n\xff\n"),
        b"\n" + good,
    ):
        assert decide(bad, head(5)) == 400, bad
    many = (
        b"old 5\n" + (to_base64(bytes(32)).encode() + b"\n") * (MAX_PROOF_LINES + 1) + good[good.index(b"\n\n") + 1 :]
    )
    assert decide(many, head(5)) == 400
    assert decide(many.replace(to_base64(bytes(32)).encode() + b"\n", b"", 1), head(5)) == 422
    with pytest.raises(SubmissionTooLarge):
        Submission.from_bytes(good.ljust(MAX_REQUEST_BYTES + 1, b"x"))


def test_a_request_is_read_back_as_it_was_made() -> None:
    for old, size in ((0, 7), (3, 12), (12, 12)):
        made = submission(old, size)
        assert Submission.from_bytes(made.data()) == made


@given(st.binary(max_size=300) | st.text(alphabet="old 0123456789\n—ab=/+", max_size=300).map(str.encode))
def test_nothing_but_a_refusal_escapes_a_request(data: bytes) -> None:
    for request in (data, b"old 0\n\n" + data, submission(3, 9).data()[: len(data)] + data):
        with contextlib.suppress(WitnessRefusal):
            Submission.from_bytes(request)


def test_each_refusal_has_its_own_code_and_says_its_cure() -> None:
    kinds = [WitnessRefusal, BadSubmission, SubmissionTooLarge, NotWitnessed, NotTheLogs, OtherSize, NotConsistent]
    assert len({kind.code for kind in kinds}) == len(kinds)
    for kind in kinds:
        assert issubclass(kind, CommunError)
        assert f"{kind.__name__} " in (WitnessRefusal.__doc__ or "")
        assert kind.code in (WitnessRefusal.__doc__ or "")

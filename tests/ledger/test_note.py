"""Signed notes: the constants of Go's own tests, the specification's examples, and everything that is no note."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commun.ledger.errors import BadLogKey, BadNote, LedgerError, NotSigned, WrongSignature
from commun.ledger.keys import SignerKey, VerifierKey, from_base64
from commun.ledger.note import (
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    Note,
    NoteVerifier,
    Signature,
    read_signature_lines,
    sign_note,
)
from ledger_vectors import LOG, LOG_PQ, NOTES

TEXT, PETER_LINE, ENOCH_LINE = NOTES["text"], NOTES["peter"], NOTES["enoch"]


def verifier(name: str) -> NoteVerifier:
    return NoteVerifier(VerifierKey.from_text(NOTES["keys"][name]["public"]))


PETER, ENOCH, C2SP = verifier("peter"), verifier("enoch"), verifier("c2sp")


def note(lines: str, text: str = TEXT) -> Note:
    return Note.from_bytes(f"{text}\n{lines}".encode())


def test_signing_gives_the_bytes_that_go_gives():
    key = SignerKey.from_text(NOTES["keys"]["peter"]["private"])
    signed = Note(TEXT, (sign_note(TEXT, key),))
    assert signed.data() == f"{TEXT}\n{PETER_LINE}".encode()


def test_the_specifications_example_verifies():
    opened = Note.from_bytes(NOTES["c2sp_note"].encode())
    assert opened.text == "This is an example message.\n"
    assert len(opened.verified([C2SP])) == 1


def test_lines_of_unknown_keys_are_ignored():
    opened = note(PETER_LINE + ENOCH_LINE)
    assert [line.name for line in opened.verified([PETER])] == ["PeterNeumann"]
    assert [line.name for line in opened.verified([PETER, ENOCH])] == ["PeterNeumann", "EnochRoot"]
    assert opened.data() == f"{TEXT}\n{PETER_LINE}{ENOCH_LINE}".encode()


def test_a_note_that_no_known_key_has_signed_is_refused():
    for known in ([], [ENOCH], [C2SP]):
        with pytest.raises(NotSigned):
            note(PETER_LINE).verified(known)


def test_a_line_that_shares_only_the_name_or_only_the_id_with_a_known_key_is_of_an_unknown_one():
    line = read_signature_lines(PETER_LINE)[0]
    other_id = Signature(line.name, b"\x00\x00\x00\x01", line.value).line()
    other_name = Signature("CarmenSandiego", line.key_id, line.value).line()
    for lines in (other_id, other_name):
        with pytest.raises(NotSigned):
            note(lines).verified([PETER])
        assert len(note(lines + PETER_LINE).verified([PETER])) == 1


@pytest.mark.parametrize("good_first", [True, False])
def test_one_wrong_signature_of_a_known_key_refuses_the_whole_note(good_first: bool):
    line = read_signature_lines(PETER_LINE)[0]
    wrong = Signature(line.name, line.key_id, bytes([line.value[0] ^ 1]) + line.value[1:]).line()
    lines = PETER_LINE + wrong if good_first else wrong + PETER_LINE
    with pytest.raises(WrongSignature) as caught:
        note(lines).verified([PETER])
    assert caught.value.details == {"key": "PeterNeumann"}
    with pytest.raises(WrongSignature):
        note(ENOCH_LINE + wrong).verified([ENOCH, PETER])
    assert len(note(ENOCH_LINE + wrong).verified([ENOCH])) == 1


def test_another_text_under_the_same_lines_is_refused():
    with pytest.raises(WrongSignature):
        note(PETER_LINE, TEXT.replace("problem", "Problem")).verified([PETER])


def test_two_known_keys_of_one_name_and_id_are_refused_only_where_they_would_be_used():
    known = [ENOCH, PETER, ENOCH]
    with pytest.raises(BadLogKey):
        note(ENOCH_LINE).verified(known)
    assert len(note(PETER_LINE).verified(known)) == 1


def test_sixteen_signatures_and_more_are_accepted_up_to_the_bound():
    for count in (16, MAX_SIGNATURES):
        assert len(note(PETER_LINE * count).verified([PETER])) == count
    for known in ([PETER], []):
        with pytest.raises(BadNote):
            note(PETER_LINE * (MAX_SIGNATURES + 1)).verified(known)


def test_sixteen_post_quantum_signatures_fit():
    line = Signature(LOG_PQ.name, LOG_PQ.verifier.key_id, bytes(2428)).line()
    assert len(note(line * 16 + PETER_LINE).verified([PETER])) == 1


@pytest.mark.parametrize(
    "data",
    [
        TEXT,
        TEXT + "\n",
        f"{TEXT}\n{PETER_LINE[:-1]}",
        f"{TEXT}\n\n{PETER_LINE}Unexpected line.\n",
        f"{TEXT}{PETER_LINE}",
        f"\x01{TEXT}\n{PETER_LINE}",
        f"{TEXT}\n{PETER_LINE}".replace("\n", "\r\n"),
        f"tab\there\n\n{PETER_LINE}",
        f"{TEXT}\n" + PETER_LINE.replace("PeterNeumann", "Bad Name"),
        f"{TEXT}\n" + PETER_LINE.replace("PeterNeumann", "Bad+Name"),
        f"{TEXT}\n" + PETER_LINE.replace("PeterNeumann", "Bad\u00a0Name"),
        f"{TEXT}\n" + PETER_LINE.replace("PeterNeumann ", ""),
        f"{TEXT}\n" + PETER_LINE.replace("PeterNeumann", ""),
        f"{TEXT}\n" + PETER_LINE.replace("\N{EM DASH}", "\N{EN DASH}"),
        f"{TEXT}\n" + PETER_LINE.replace("\N{EM DASH}", "-"),
        f"{TEXT}\n" + PETER_LINE.replace("nAM=", "nAN="),
        f"{TEXT}\n" + PETER_LINE.replace("nAM=", "nAM"),
        f"{TEXT}\n" + PETER_LINE.replace("\n", " \n"),
        f"{TEXT}\n\N{EM DASH} PeterNeumann x08gow==\n",
        f"{TEXT}\n\N{EM DASH} PeterNeumann x08g\n",
        f"{TEXT}\n\N{EM DASH} PeterNeumann \n",
        f"{TEXT}\n\N{EM DASH} PeterNeumann\n",
        f"{TEXT}\n\n",
        PETER_LINE,
        "\n" + PETER_LINE,
        "",
        "\n\n",
    ],
)
def test_what_is_no_note_is_refused(data: str):
    with pytest.raises(BadNote):
        Note.from_bytes(data.encode())


@pytest.mark.parametrize("data", [b"\xff" + TEXT.encode(), b"\xed\xa0\x80\n", b"\xc0\x80\n"])
def test_what_is_not_utf_8_is_refused(data: bytes):
    with pytest.raises(BadNote):
        Note.from_bytes(data + b"\n" + PETER_LINE.encode())


def test_a_text_may_have_empty_lines_and_lines_that_look_like_signatures():
    key = SignerKey.from_text(NOTES["keys"]["peter"]["private"])
    for text in ("\n", "a\n\n\nb\n", "a\n\n", f"a\n\n{PETER_LINE}", "\u2028\u0085\x7f\n"):
        signed = Note(text, (sign_note(text, key),))
        opened = Note.from_bytes(signed.data())
        assert opened == signed
        assert opened.verified([PETER])


def test_a_note_beyond_its_bound_is_refused_before_it_is_read():
    with pytest.raises(BadNote):
        Note.from_bytes(b"\xff" * (MAX_NOTE_BYTES + 1))
    with pytest.raises(BadNote):
        Note("a" * MAX_NOTE_BYTES + "\n", read_signature_lines(PETER_LINE))


@pytest.mark.parametrize("text", ["", "a", "a\x00\n", "\ud800\n", "a\tb\n"])
def test_a_text_that_no_note_can_carry_is_not_signed(text: str):
    with pytest.raises(BadNote):
        sign_note(text, LOG)
    with pytest.raises(BadNote):
        Note(text, read_signature_lines(PETER_LINE))


def test_a_note_without_a_signature_or_with_a_broken_one_is_not_made():
    for signatures in (
        (),
        (Signature("a b", b"1234", b"x"),),
        (Signature("a", b"123", b"x"),),
        (Signature("a", b"1234", b""),),
        (Signature("\ud800", b"1234", b"x"),),
    ):
        with pytest.raises(BadNote):
            Note(TEXT, signatures)


def test_a_key_of_a_cosignature_signs_no_plain_note():
    with pytest.raises(BadLogKey):
        sign_note(TEXT, LOG_PQ)


def test_a_newer_line_of_the_same_key_takes_the_older_ones_place():
    key = SignerKey.from_text(NOTES["keys"]["peter"]["private"])
    stale = Signature(key.name, key.verifier.key_id, b"stale")
    assert Note(TEXT, (stale,)).with_signatures([sign_note(TEXT, key)]) == note(PETER_LINE)
    both = note(ENOCH_LINE).with_signatures([sign_note(TEXT, key)])
    assert both == note(ENOCH_LINE + PETER_LINE)


@given(st.binary(max_size=300), st.text(max_size=100))
def test_whatever_a_note_is_read_from_only_ledger_errors_escape(data: bytes, text: str):
    for candidate in (data, text.encode("utf-8", "surrogatepass"), data + b"\n\n" + PETER_LINE.encode()):
        try:
            opened = Note.from_bytes(candidate)
        except BadNote:
            continue
        assert opened.data() == candidate
        with pytest.raises(LedgerError):
            opened.verified([PETER])


@given(st.data())
def test_a_mutated_note_is_refused_or_has_another_unknown_line(data: st.DataObject):
    whole = f"{TEXT}\n{PETER_LINE}{ENOCH_LINE}".encode()
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:at] + data.draw(st.binary(max_size=3)) + whole[at + data.draw(st.integers(0, 3)) :]
    try:
        opened = Note.from_bytes(changed)
        verified = opened.verified([PETER])
    except LedgerError:
        return
    assert opened.data() == changed
    assert opened.text == TEXT
    assert [line.value for line in verified] == [from_base64(PETER_LINE.split()[2])[4:]]  # type: ignore[index]

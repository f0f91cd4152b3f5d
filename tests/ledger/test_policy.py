"""Trust policies: what each line may say, and who is missing."""

from contextlib import suppress
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commun.ledger.checkpoint import Checkpoint
from commun.ledger.cosignature import sign_checkpoint
from commun.ledger.errors import BadPolicy, LedgerError, NotSigned, TooFewWitnesses, UnknownLog, WrongSignature
from commun.ledger.keys import SignerKey, VerifierKey
from commun.ledger.note import Note
from commun.ledger.policy import MAX_GROUPS, MAX_LOGS, MAX_POLICY_BYTES, MAX_WITNESSES, Policy, policy_naming
from commun.ledger.proof import LogProof
from ledger_vectors import LOG, LOG_PQ, POLICY, PROOF, WITNESS_A, WITNESS_B, WITNESS_C

HEAD = Checkpoint(LOG.name, 300, bytes(range(32)))
A, B, C = (key.verifier.text() for key in (WITNESS_A, WITNESS_B, WITNESS_C))
THREE = f"witness a {A}\nwitness b {B}\nwitness c {C}\n"


def policy(text: str) -> Policy:
    return Policy.from_bytes(text.encode())


def key(number: int, kind: int = 4) -> VerifierKey:
    return SignerKey(f"key{number}.example", kind, number.to_bytes(32, "big")).verifier


def checkpoint(*signers: SignerKey, head: Checkpoint = HEAD) -> bytes:
    return Note(head.text(), tuple(sign_checkpoint(head, signer, time=1) for signer in signers)).data()


def test_the_specifications_example_with_real_keys():
    keys = {f"{group}{number}": key(index) for index, (group, number) in enumerate((g, n) for g in "XY" for n in "123")}
    text = f"log {LOG.verifier.text()}\n\n"
    for group, line in (("X", "group X-witnesses 2 X1 X2 X3"), ("Y", "group Y-witnesses any Y1 Y2 Y3")):
        for number in "123":
            text += f"witness {group}{number} {keys[group + number].text()}\n"
        text += line + "\n\n"
    text += "group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
    read = policy(text)
    for count in range(7):
        for names in combinations(keys, count):
            wanted = sum(name[0] == "X" for name in names) >= 2 and any(name[0] == "Y" for name in names)
            standing = read.standing({keys[name] for name in names})
            assert standing.fulfilled == wanted
            assert not set(standing.missing()) & set(names)
            assert bool(standing.missing()) != wanted
    assert read.standing({keys["X1"], keys["Y2"]}).missing() == ("X2", "X3")


def test_the_published_policy_is_satisfied_by_the_published_proof():
    witnessed = Policy.from_bytes(POLICY).check(LogProof.from_bytes(PROOF).note.data())
    assert witnessed.standing.fulfilled
    assert [item.key.name for item in witnessed.signed.cosignatures] == [LOG.name, WITNESS_A.name, WITNESS_B.name]


@pytest.mark.parametrize(("threshold", "enough"), [("any", 1), ("all", 3), ("1", 1), ("2", 2), ("3", 3)])
def test_any_all_and_k_count(threshold: str, enough: int):
    read = policy(f"log {LOG.verifier.text()}\n{THREE}group g {threshold} a b c\nquorum g\n")
    for count in range(4):
        for signers in combinations((WITNESS_A, WITNESS_B, WITNESS_C), count):
            data = checkpoint(LOG, *signers)
            if count >= enough:
                assert read.check(data).standing.have == count
            else:
                with pytest.raises(TooFewWitnesses) as caught:
                    read.check(data)
                assert caught.value.details["signed"] == count
                assert len(str(caught.value.details["missing"]).split(", ")) == 3 - count


def test_who_is_missing_stands_in_the_sentence():
    read = policy(f"log {LOG.verifier.text()}\n{THREE}group g all a b c\nquorum g\n")
    with pytest.raises(TooFewWitnesses) as caught:
        read.check(checkpoint(LOG, WITNESS_B))
    assert "1 have; missing: a, c." in str(caught.value)
    assert caught.value.standing.members[1].fulfilled


def test_without_a_quorum_the_logs_signature_is_enough():
    read = policy(f"log {LOG.verifier.text()}\nquorum none\n")
    assert read.check(checkpoint(LOG)).standing.missing() == ()
    with pytest.raises(NotSigned):
        read.check(checkpoint(WITNESS_A))


def test_the_quorum_may_be_one_witness():
    read = policy(f"log {LOG.verifier.text()}\n{THREE}quorum b\n")
    assert read.check(checkpoint(LOG, WITNESS_B))
    with pytest.raises(TooFewWitnesses) as caught:
        read.check(checkpoint(LOG, WITNESS_A, WITNESS_C))
    assert caught.value.standing.missing() == ("b",)


def test_a_policy_without_logs_takes_them_from_the_caller():
    read = policy(f"{THREE}quorum a\n")
    with pytest.raises(UnknownLog):
        read.check(checkpoint(LOG, WITNESS_A))
    assert read.check(checkpoint(LOG, WITNESS_A), logs=[LOG.verifier])


def test_any_of_the_logs_is_accepted_each_under_its_own_origin():
    other = SignerKey("other.example", 1, bytes(32))
    read = policy(f"log {LOG.verifier.text()}\nlog {other.verifier.text()} https://other.example/\nquorum none\n")
    assert read.check(checkpoint(LOG))
    theirs = Checkpoint("other.example", 1, bytes(32))
    assert read.check(checkpoint(other, head=theirs)).signed.checkpoint == theirs
    with pytest.raises(NotSigned):
        read.check(checkpoint(LOG, head=theirs))
    with pytest.raises(UnknownLog):
        read.check(checkpoint(LOG, head=Checkpoint("third.example", 1, bytes(32))))


def test_a_wrong_cosignature_refuses_even_where_enough_others_are_right():
    read = policy(f"log {LOG.verifier.text()}\n{THREE}group g 1 a b c\nquorum g\n")
    wrong = sign_checkpoint(Checkpoint(LOG.name, 301, bytes(32)), WITNESS_C, time=1)
    data = Note.from_bytes(checkpoint(LOG, WITNESS_A)).with_signatures([wrong]).data()
    with pytest.raises(WrongSignature):
        read.check(data)


def test_spaces_tabs_remarks_and_empty_lines_do_not_count():
    read = policy(
        f"\n# remark \u00e9\n  \t#another\n \t log\t{LOG.verifier.text()}  \n{THREE}\t\n group\tg  2 a   b c\t\n  quorum g \n"
    )
    assert [group.members for group in read.groups] == [(b"a", b"b", b"c")]
    assert read.quorum == b"g"


def test_logs_and_witnesses_may_have_a_url():
    read = policy(f"{LOG_LINE[:-1]} https://log.example/\nwitness a {A} https://a.example/\nwitness c {C}\nquorum a\n")
    assert read.logs[0].url == b"https://log.example/"
    assert [witness.url for witness in read.witnesses] == [b"https://a.example/", None]


def test_names_are_octets():
    latin = (
        b"witness \xe9 " + A.encode() + b"\nwitness \xff\xfe " + C.encode() + b"\ngroup g all \xe9 \xff\xfe\nquorum g\n"
    )
    standing = Policy.from_bytes(latin).standing(set())
    assert standing.missing() == ("\\xe9", "\\xff\\xfe")
    kelvin = policy(f"witness K {A}\nwitness \u212a {C}\nquorum K\n")
    assert len(kelvin.witnesses) == 2


def test_names_that_look_like_other_words_are_names():
    assert policy(f"witness all {A}\nwitness 2 {C}\ngroup quorum 2 all 2\nquorum quorum\n").quorum == b"quorum"


LOG_LINE = f"log {LOG.verifier.text()}\n"
SAME_KEY = SignerKey("renamed.example", 4, WITNESS_A.seed).verifier.text()
SAME_LOG_KEY = SignerKey("renamed.example", 4, LOG.seed).verifier.text()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 0),
        ("# nothing\n", 0),
        (LOG_LINE, 0),
        ("quorum none", 1),
        (f"{LOG_LINE}quorum none\nquo", 3),
        ("quorum none\nquorum none\n", 2),
        ("quorum none \n\nquorum x\n", 3),
        ("quorum\n", 1),
        ("quorum none none\n", 1),
        ("quorum a\n", 1),
        (f"quorum a\nwitness a {A}\n", 1),
        ("Quorum none\n", 1),
        ("quorum none # a remark\n", 1),
        ("log\nquorum none\n", 1),
        ("log x\nquorum none\n", 1),
        (f"log {LOG.verifier.text()} url more\nquorum none\n", 1),
        (f"{LOG_LINE}{LOG_LINE}quorum none\n", 2),
        (f"{LOG_LINE}log {SAME_LOG_KEY}\nquorum none\n", 2),
        (f"witness {A}\nquorum none\n", 1),
        (f"witness none {A}\nquorum none\n", 1),
        (f"witness a {LOG.verifier.text()}\nquorum a\n", 1),
        (f"witness a {A}\nwitness a {C}\nquorum a\n", 2),
        (f"witness a {A}\nwitness b {A}\nquorum a\n", 2),
        (f"witness a {A}\nwitness b {SAME_KEY}\nquorum a\n", 2),
        (f"witness a {A} u v\nquorum a\n", 1),
        (f"witness a {A[:-1]}\nquorum a\n", 1),
        (f"{THREE}group g 0 a b\nquorum g\n", 4),
        (f"{THREE}group g 3 a b\nquorum g\n", 4),
        (f"{THREE}group g -1 a b\nquorum g\n", 4),
        (f"{THREE}group g 02 a b\nquorum g\n", 4),
        (f"{THREE}group g +2 a b\nquorum g\n", 4),
        (f"{THREE}group g two a b\nquorum g\n", 4),
        (f"{THREE}group g All a b\nquorum g\n", 4),
        (f"{THREE}group g any\nquorum g\n", 4),
        (f"{THREE}group g\nquorum g\n", 4),
        (f"{THREE}group none any a\nquorum a\n", 4),
        (f"{THREE}group a any b\nquorum a\n", 4),
        (f"{THREE}group g any a none\nquorum g\n", 4),
        (f"{THREE}group g any a g\nquorum g\n", 4),
        (f"{THREE}group g any a d\nquorum g\n", 4),
        (f"{THREE}group g any a a\nquorum g\n", 4),
        (f"{THREE}group g any a\ngroup h any a b\nquorum h\n", 5),
        (f"{THREE}group h all g\ngroup g all a\nquorum h\n", 4),
        ("\x00quorum none\n", 1),
        ("\n\x00quorum none\n", 2),
        ("#\n#\r\nquorum none\n", 2),
        ("#\n#\n# \x7f\nquorum none\n", 3),
        (f"{LOG_LINE}quorum\vnone\n", 2),
    ],
)
def test_a_mistake_is_refused_at_its_line(text: str, line: int):
    with pytest.raises(BadPolicy) as caught:
        policy(text)
    assert caught.value.details["line"] == line


def test_a_key_whose_name_is_not_utf_8_is_refused_at_its_line():
    with pytest.raises(BadPolicy) as caught:
        Policy.from_bytes(b"\nlog \xff" + LOG.verifier.text().encode() + b"\nquorum none\n")
    assert caught.value.details["line"] == 2


def test_a_weak_key_is_refused_at_its_line():
    weak = "AQ" + "A" * 43
    with pytest.raises(BadPolicy) as caught:
        policy(f"\nlog log.example+00000000+{weak}\nquorum none\n")
    assert caught.value.details["line"] == 2


def test_32_of_each_are_read_and_the_bounds_hold():
    lines = [f"log {key(number, 1).text()}" for number in range(32)]
    lines += [f"witness w{number} {key(number).text()}" for number in range(32)]
    lines += ["group g0 all w0"] + [f"group g{number} 2 g{number - 1} w{number}" for number in range(1, 32)]
    read = policy("\n".join([*lines, "quorum g31", ""]))
    assert (len(read.logs), len(read.witnesses), len(read.groups)) == (32, 32, 32)
    everybody = {witness.key for witness in read.witnesses}
    assert read.standing(everybody).fulfilled
    assert read.standing(everybody - {key(0)}).missing() == ("w0",)
    for most, line in (
        (MAX_LOGS, lambda number: f"log {key(number, 1).text()}\n"),
        (MAX_WITNESSES, lambda number: f"witness w{number} {key(number).text()}\n"),
    ):
        text = "".join(map(line, range(most)))
        assert policy(text + "quorum none\n")
        with pytest.raises(BadPolicy):
            policy(text + line(most) + "quorum none\n")
    chain = f"witness g0 {A}\n" + "".join(f"group g{n + 1} all g{n}\n" for n in range(MAX_GROUPS))
    assert policy(chain + f"quorum g{MAX_GROUPS}\n").standing({WITNESS_A.verifier}).fulfilled
    with pytest.raises(BadPolicy):
        policy(chain + f"group last all g{MAX_GROUPS}\nquorum last\n")
    with pytest.raises(BadPolicy):
        Policy.from_bytes(b"#" * (MAX_POLICY_BYTES + 1))


def test_witnesses_outside_the_policy_do_not_count():
    read = policy(f"{THREE}group g 1 a b\nquorum g\n")
    assert not read.standing({WITNESS_C.verifier, LOG.verifier, LOG_PQ.verifier}).fulfilled


words = st.sampled_from(
    [
        *b"log witness group quorum none all any 1 2 a b g".split(),
        b" ",
        b"\t",
        b"\n",
        b"#",
        b"\xff",
        b"\x00",
        *(A.encode(), C.encode(), LOG.verifier.text().encode()),
    ]
)


@given(
    st.binary(max_size=200)
    | st.lists(words, max_size=60).map(b" ".join)
    | st.lists(st.lists(words, max_size=6).map(b" ".join), max_size=12).map(b"\n".join)
)
def test_whatever_a_policy_is_read_from_only_its_error_escapes(data: bytes):
    try:
        read = Policy.from_bytes(data + b"\n")
    except BadPolicy:
        return
    assert isinstance(read.standing({WITNESS_A.verifier}).missing(), tuple)


@given(st.data())
def test_a_mutated_policy_is_refused_or_read(data: st.DataObject):
    at = data.draw(st.integers(0, len(POLICY) - 1))
    changed = POLICY[:at] + data.draw(st.binary(max_size=3)) + POLICY[at + data.draw(st.integers(0, 20)) :]
    with suppress(LedgerError):
        Policy.from_bytes(changed).check(LogProof.from_bytes(PROOF).note.data())


@pytest.mark.parametrize("witness", [WITNESS_A, WITNESS_B, WITNESS_C], ids=lambda key: key.name)
def test_a_line_with_a_time_of_zero_counts_for_nobody(witness: SignerKey):
    """It states nothing about when; and of ML-DSA-44, not even that the witness had seen no larger tree."""
    asked = policy(f"log {LOG.verifier.text()}\nwitness w {witness.verifier.text()}\nquorum w\n")
    for time, counts in ((0, False), (1, True)):
        lines = (sign_checkpoint(HEAD, LOG), sign_checkpoint(HEAD, witness, time=time))
        note = Note(HEAD.text(), lines).data()
        if counts:
            assert asked.check(note).standing.fulfilled
        else:
            with pytest.raises(TooFewWitnesses):
                asked.check(note)


def test_it_is_written_as_it_is_read():
    text = f"log {LOG.verifier.text()} https://log.example/\n{THREE}group two 2 a b\ngroup all 2 two c\nquorum all\n"
    for each in (text, text.replace("quorum all", "quorum none"), POLICY.decode()):
        assert Policy.from_bytes(Policy.from_bytes(each.encode()).data()) == policy(each)
    assert policy(text).data() == text.encode()


def test_a_readers_policy_names_the_ledger_alone_and_asks_for_the_charters_witnesses():
    """Another log of the clause would vouch for a ledger that is not this one."""
    key = LOG.verifier.text()
    assert policy_naming(LOG.verifier, "") == f"log {key}\nquorum none\n".encode()
    clause = f"# ours\nlog {LOG_PQ.verifier.text()}\n{THREE}group two\t2 a b c\nquorum two"
    made = policy_naming(LOG.verifier, clause, url="https://log.example/ledger")
    assert made == f"log {key} https://log.example/ledger\n{THREE}group two 2 a b c\nquorum two\n".encode()
    with pytest.raises(BadPolicy):
        policy_naming(LOG.verifier, "quorum nobody")
    with pytest.raises(BadPolicy):
        policy_naming(LOG.verifier, "", url="https://log.example/\nquorum none")

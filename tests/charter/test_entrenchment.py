"""What a board may be, and what an entrenched clause needs to change. Five members, a quorum of three, five guards."""

import copy
import hashlib
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.signer import SSlibKey
from tuf.api.metadata import Metadata, Role, Root

from boards import NAMES, member
from commun.charter.canonical import canonical, read_metadata
from commun.charter.entrenchment import check_brought, check_root, guards_missing
from commun.charter.errors import (
    BadBoard,
    BrokenMetadata,
    EntrenchmentBroken,
    InvalidCharter,
    MixedEditions,
    TooFewSignatures,
    WrongVersion,
)

EXPIRES = datetime(2028, 1, 1, tzinfo=UTC)
ROLES = ("root", "targets", "snapshot", "timestamp")
PURPOSE = {"purpose": "aa" * 32}
OTHER_PURPOSE = {"purpose": "bb" * 32}


def keyid(name: str) -> str:
    return member(name).keyid


def quorum_digest(quorum: int) -> str:
    return hashlib.sha256(rfc8785.dumps(quorum)).hexdigest()


def root(
    names: Sequence[str] = NAMES,
    quorum: int = 3,
    *,
    version: int = 1,
    entrenched: dict[str, str] | None = None,
    guards: Sequence[str] = (),
) -> Root:
    keys = {keyid(name): member(name).signer.public_key for name in names}
    extension = {
        "format": "commun-root/1",
        "edition": {"number": version, "digest": "cd" * 32},
        "quorum": quorum,
        "entrenched": dict(entrenched or {}),
        "guards": sorted(map(keyid, guards)),
    }
    roles = {role: Role(list(keys), quorum) for role in ROLES}
    return Root(version, "1.0.31", EXPIRES, keys, roles, True, {"x-commun": extension})


def signed(root: Root, names: Sequence[str] = NAMES) -> Metadata[Root]:
    metadata = Metadata(root)
    for name in names:
        metadata.sign(member(name).signer, append=True)
    return metadata


GUARDED = signed(root(entrenched=PURPOSE, guards=NAMES))


def after(new: Root, names: Sequence[str], old: Metadata[Root] = GUARDED) -> None:
    check_root(old, signed(new, names))


# What a board may be


def test_a_board_of_one_and_a_board_of_five_are_boards() -> None:
    check_root(None, signed(root(NAMES[:1], 1), NAMES[:1]))
    check_root(None, GUARDED)


def test_a_root_that_its_own_quorum_has_not_signed_is_refused() -> None:
    with pytest.raises(TooFewSignatures):
        check_root(None, signed(root(), NAMES[:2]))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("threshold", [0, -1, 6, 2, True])
def test_a_threshold_of_zero_above_the_number_of_keys_or_unlike_the_others_is_refused(
    role: str, threshold: int
) -> None:
    bad = root()
    bad.roles[role].threshold = threshold
    with pytest.raises(BadBoard):
        check_root(None, signed(bad))


def test_a_threshold_of_zero_is_refused_already_in_the_document() -> None:
    document = json.loads(GUARDED.to_bytes())
    for role in ROLES:
        document["signed"]["roles"][role]["threshold"] = 0
    with pytest.raises(BadBoard):
        read_metadata(json.dumps(document).encode(), Root, file="metadata/1.root.json")


def test_a_threshold_of_all_roles_above_the_number_of_keys_is_refused() -> None:
    with pytest.raises(BadBoard):
        check_root(None, signed(root(quorum=6)))


@pytest.mark.parametrize("role", ROLES)
def test_a_role_without_one_of_the_keys_is_refused(role: str) -> None:
    bad = root()
    bad.roles[role].keyids = bad.roles[role].keyids[:-1]
    with pytest.raises(BadBoard):
        check_root(None, signed(bad))


def test_a_key_that_belongs_to_no_role_is_refused() -> None:
    bad = root(NAMES[:4])
    bad.keys[keyid(NAMES[4])] = member(NAMES[4]).signer.public_key
    with pytest.raises(BadBoard):
        check_root(None, signed(bad))


def test_a_key_id_twice_in_a_role_is_refused() -> None:
    bad = root()
    bad.roles["root"].keyids.append(keyid(NAMES[0]))
    with pytest.raises(BadBoard):
        check_root(None, signed(bad))


def with_key(key: SSlibKey, as_id: str) -> Root:
    bad = root(NAMES[:4])
    bad.keys[as_id] = key
    for role in bad.roles.values():
        role.keyids.append(as_id)
    return bad


def test_the_same_key_under_a_second_id_is_refused() -> None:
    first = member(NAMES[0]).signer.public_key
    again = SSlibKey("ab" * 32, first.keytype, first.scheme, dict(first.keyval))
    with pytest.raises(BadBoard):
        check_root(None, signed(with_key(again, "ab" * 32), NAMES[:4]))


def test_the_same_key_in_capital_letters_is_refused_also_under_the_id_that_belongs_to_that_spelling() -> None:
    public = member(NAMES[0]).signer.public_key.keyval["public"].upper()
    keyval = {"public": public}
    of_spelling = hashlib.sha256(canonical({"keytype": "ed25519", "scheme": "ed25519", "keyval": keyval})).hexdigest()
    again = SSlibKey(of_spelling, "ed25519", "ed25519", keyval)
    with pytest.raises(BadBoard):
        check_root(None, signed(with_key(again, of_spelling), NAMES[:4]))


P = 2**255 - 19
ORDER_8 = int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little")
SMALL_ORDER = [0, 1, P - 1, ORDER_8, P - ORDER_8]  # the y of all eight points, each with either sign of x
NON_CANONICAL = [P, P + 1, P + 3, 2**255 - 1]  # y of small order written a second way, and others not below p


def ed25519(y: int, *, sign: int) -> str:
    return (y | sign << 255).to_bytes(32, "little").hex()


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", [*SMALL_ORDER, *NON_CANONICAL])
def test_every_low_order_key_and_every_encoding_that_is_not_the_only_one_is_refused(y: int, sign: int) -> None:
    keyval = {"public": ed25519(y, sign=sign)}
    as_id = hashlib.sha256(canonical({"keytype": "ed25519", "scheme": "ed25519", "keyval": keyval})).hexdigest()
    with pytest.raises(BadBoard):
        check_root(None, signed(with_key(SSlibKey(as_id, "ed25519", "ed25519", keyval), as_id), NAMES[:4]))


def wycheproof_keys() -> list[str]:
    folder = Path(os.environ.get("COMMUN_VECTORS", Path(__file__).parents[3] / "shared" / "vectors"))
    path = folder / "wycheproof" / "ed25519_test.json"
    if not path.exists():
        assert os.environ.get("CI") != "true", "the vectors are missing"
        pytest.skip(f"no vectors in {folder}")
    groups = json.loads(path.read_text())["testGroups"]
    return [group["publicKey"]["pk"] for group in groups]


def test_the_keys_of_other_peoples_vectors_are_accepted_unless_they_are_weak() -> None:
    for public in wycheproof_keys():
        y = int.from_bytes(bytes.fromhex(public), "little") & (2**255 - 1)
        keyval = {"public": public}
        as_id = hashlib.sha256(canonical({"keytype": "ed25519", "scheme": "ed25519", "keyval": keyval})).hexdigest()
        new = signed(with_key(SSlibKey(as_id, "ed25519", "ed25519", keyval), as_id), NAMES[:4])
        if y in SMALL_ORDER or y >= P:
            with pytest.raises(BadBoard):
                check_root(None, new)
        else:
            check_root(None, new)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"format": "commun-root/2"}, BrokenMetadata),
        ({"quorum": 2}, BadBoard),
        ({"quorum": True}, BadBoard),
        ({"quorum": "3"}, BadBoard),
        ({"guards": None}, BrokenMetadata),
        ({"guards": ["x"]}, BrokenMetadata),
        ({"guards": ["ff" * 32]}, BadBoard),
        ({"entrenched": []}, BrokenMetadata),
        ({"entrenched": {"purpose": "short"}}, BrokenMetadata),
        ({"entrenched": {"no.such.clause": "aa" * 32}}, BrokenMetadata),
        ({"entrenched": PURPOSE, "guards": []}, BadBoard),
        ({"entrenched": {"board.quorum": quorum_digest(2)}}, EntrenchmentBroken),
        ({"unknown": 1}, BrokenMetadata),
        ({"edition": 1}, BrokenMetadata),
        ({"edition": {"number": 1}}, BrokenMetadata),
        ({"edition": {"number": 0, "digest": "cd" * 32}}, BrokenMetadata),
        ({"edition": {"number": True, "digest": "cd" * 32}}, BrokenMetadata),
        ({"edition": {"number": 1, "digest": "cd"}}, BrokenMetadata),
        ({"edition": {"number": 1, "digest": "cd" * 32, "more": 1}}, BrokenMetadata),
    ],
)
def test_a_root_whose_own_fields_are_not_well_formed_is_refused(change: dict, error: type[InvalidCharter]) -> None:
    bad = root(entrenched=PURPOSE, guards=NAMES)
    bad.unrecognized_fields["x-commun"] |= change
    with pytest.raises(error):
        check_root(None, signed(bad))


def test_guards_that_are_not_sorted_or_stand_twice_are_refused() -> None:
    for guards in (sorted(map(keyid, NAMES), reverse=True), sorted([keyid(NAMES[0])] * 2)):
        bad = root(entrenched=PURPOSE, guards=NAMES)
        bad.unrecognized_fields["x-commun"]["guards"] = guards
        with pytest.raises(BrokenMetadata):
            check_root(None, signed(bad))


def test_a_root_without_the_field_is_refused() -> None:
    bad = root()
    del bad.unrecognized_fields["x-commun"]
    with pytest.raises(BrokenMetadata):
        check_root(None, signed(bad))


# From one board to the next


def test_three_of_five_replace_a_member_who_guards_nothing() -> None:
    old = signed(root(entrenched=PURPOSE, guards=NAMES[:3]))
    check_root(old, signed(root([*NAMES[:4], "Zoé"], version=2, entrenched=PURPOSE, guards=NAMES[:3]), NAMES[:3]))


def test_two_of_five_replace_nobody() -> None:
    with pytest.raises(TooFewSignatures):
        after(root(NAMES[:4], 2, version=2, entrenched=PURPOSE, guards=NAMES[:4]), NAMES[:2])


def test_the_new_board_alone_cannot_put_itself_in_place() -> None:
    new = root(["Mallory"], 1, version=2)
    with pytest.raises(TooFewSignatures):
        after(new, ["Mallory"])


def test_the_old_board_alone_cannot_speak_for_the_new_one() -> None:
    new = root(["Mallory"], 1, version=2)
    with pytest.raises(TooFewSignatures):
        after(new, NAMES)


@pytest.mark.parametrize("version", [1, 3, 2**31])
def test_a_root_that_does_not_follow_by_one_is_refused(version: int) -> None:
    with pytest.raises(WrongVersion):
        after(root(version=version, entrenched=PURPOSE, guards=NAMES), NAMES)


def test_a_root_that_names_no_later_edition_than_the_one_before_it_is_refused() -> None:
    new = root(version=2, entrenched=PURPOSE, guards=NAMES)
    new.unrecognized_fields["x-commun"]["edition"]["number"] = 1
    with pytest.raises(MixedEditions):
        after(new, NAMES)


def test_a_new_root_brings_the_edition_that_it_names_and_no_other() -> None:
    new = root(version=2)
    check_brought(new, 2, "cd" * 32, new=True, file="2.targets.json")
    check_brought(new, 2, "cd" * 32, new=False, file="2.targets.json")
    check_brought(new, 3, "ab" * 32, new=False, file="3.targets.json")  # a later one under the same board
    for number, digest, is_new in [(2, "ab" * 32, False), (1, "cd" * 32, False), (3, "cd" * 32, True)]:
        with pytest.raises(MixedEditions):
            check_brought(new, number, digest, new=is_new, file="x")


def test_a_signature_counts_once_however_often_it_stands_there() -> None:
    document = json.loads(signed(root(), NAMES[:2]).to_bytes())
    document["signatures"].append(dict(document["signatures"][0]))
    with pytest.raises(BrokenMetadata):
        read_metadata(json.dumps(document).encode(), Root, file="metadata/1.root.json")
    document["signatures"][-1]["keyid"] = keyid(NAMES[2])
    copied = read_metadata(json.dumps(document).encode(), Root, file="metadata/1.root.json")
    with pytest.raises(TooFewSignatures):
        check_root(None, copied)


# Entrenchment

CLAUSE = root(version=2, entrenched=OTHER_PURPOSE, guards=NAMES)
LIST = root(version=2, entrenched={}, guards=NAMES)
LONGER_LIST = root(version=2, entrenched=PURPOSE | {"retention": "cc" * 32}, guards=NAMES)
GUARDS = root(version=2, entrenched=PURPOSE, guards=NAMES[:3])
A_GUARD_REMOVED = root(NAMES[:4], version=2, entrenched=PURPOSE, guards=NAMES[:4])
CHANGES = pytest.mark.parametrize(
    "new",
    [CLAUSE, LIST, LONGER_LIST, GUARDS, A_GUARD_REMOVED],
    ids=["clause", "list", "longer-list", "guards", "removed"],
)


@CHANGES
@pytest.mark.parametrize("count", [3, 4])
def test_three_and_four_of_five_cannot_change_what_is_entrenched_or_who_guards_it(new: Root, count: int) -> None:
    with pytest.raises(EntrenchmentBroken):
        after(copy.deepcopy(new), NAMES[:count])


@CHANGES
def test_five_of_five_can(new: Root) -> None:
    after(copy.deepcopy(new), NAMES)


def test_what_is_not_entrenched_needs_the_quorum_only() -> None:
    after(root(version=2, entrenched=PURPOSE, guards=NAMES), NAMES[:3])


def test_a_guard_who_left_the_board_must_have_agreed_and_is_not_asked_again() -> None:
    everyone = signed(copy.deepcopy(A_GUARD_REMOVED), NAMES)
    check_root(GUARDED, everyone)
    third = root(NAMES[:4], version=3, entrenched=OTHER_PURPOSE, guards=NAMES[:4])
    check_root(everyone, signed(third, NAMES[:4]))


QUORUM_GUARDED = signed(root(entrenched={"board.quorum": quorum_digest(3)}, guards=NAMES))


@pytest.mark.parametrize("count", [3, 4])
def test_three_and_four_of_five_cannot_lower_an_entrenched_threshold_in_one_step(count: int) -> None:
    new = root(quorum=2, version=2, entrenched={"board.quorum": quorum_digest(2)}, guards=NAMES)
    with pytest.raises(EntrenchmentBroken):
        after(new, NAMES[:count], QUORUM_GUARDED)


@pytest.mark.parametrize("count", [3, 4])
def test_nor_in_two_steps_whichever_comes_first(count: int) -> None:
    threshold_first = root(quorum=2, version=2, entrenched={"board.quorum": quorum_digest(3)}, guards=NAMES)
    with pytest.raises(EntrenchmentBroken):
        after(threshold_first, NAMES[:count], QUORUM_GUARDED)
    entrenchment_first = root(version=2, entrenched={}, guards=NAMES)
    with pytest.raises(EntrenchmentBroken):
        after(entrenchment_first, NAMES[:count], QUORUM_GUARDED)


def test_five_of_five_can_lower_it_in_one_step_and_in_two() -> None:
    after(root(quorum=2, version=2, entrenched={"board.quorum": quorum_digest(2)}, guards=NAMES), NAMES, QUORUM_GUARDED)
    loosened = signed(root(version=2, entrenched={}, guards=NAMES), NAMES)
    check_root(QUORUM_GUARDED, loosened)
    check_root(loosened, signed(root(quorum=2, version=3, entrenched={}, guards=NAMES), NAMES[:3]))


@settings(max_examples=60, deadline=None)
@given(
    signers=st.sets(st.sampled_from(NAMES)),
    guards=st.sets(st.sampled_from(NAMES), min_size=1),
    changed=st.booleans(),
)
def test_the_rule_in_one_line(signers: set[str], guards: set[str], changed: bool) -> None:
    old = signed(root(entrenched=PURPOSE, guards=sorted(guards)))
    new = signed(
        root(version=2, entrenched=OTHER_PURPOSE if changed else PURPOSE, guards=sorted(guards)), sorted(signers)
    )
    missing = guards_missing(old.signed, new)
    assert set(missing) == ({keyid(name) for name in guards - signers} if changed else set())
    if len(signers) < 3:
        with pytest.raises(TooFewSignatures):
            check_root(old, new)
    elif missing:
        with pytest.raises(EntrenchmentBroken):
            check_root(old, new)
    else:
        check_root(old, new)

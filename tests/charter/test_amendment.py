"""An amendment while it collects signatures: any order, any copy, and nothing in its file is believed."""

import itertools
import json
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root

from boards import NAMES, NOW, charter_files, member, signer
from commun.charter import amendment as amendments
from commun.charter.amendment import Amendment, add_signatures, merge, payloads, propose, sign, signing_status
from commun.charter.edition import Edition, InForce
from commun.charter.errors import (
    BadSignature,
    CharterError,
    CharterMistakes,
    NotAMember,
    NothingChanges,
    OtherBase,
)
from commun.charter.keys import text_of_key
from commun.charter.roles import mandate_end

NEW_SYSTEM = "You answer briefly and politely."


def first(**changes: Any) -> Amendment:
    return propose(charter_files(**changes), None, None, reason="The first rules.", now=NOW)


def signed(amendment: Amendment, *names: str) -> Amendment:
    for name in names:
        amendment = sign(amendment, signer(name), now=NOW)
    return amendment


def as_base(amendment: Amendment) -> InForce:
    """What the loader says once it is adopted."""
    edition = Edition(
        amendment.number,
        amendment.digest,
        amendment.base_digest,
        amendment.charter,
        amendment.files,
        amendment.reason,
        amendment.proposed,
        amendment.board_root().version,
        (),
        mandate_end(amendment.charter),
    )
    return InForce(edition, edition, None, None, "")


def second(base: Amendment, *, reason: str = "More polite.", **changes: Any) -> Amendment:
    root: Metadata[Root] = Metadata(base.board_root())
    return propose(charter_files(**changes), as_base(base), root, reason=reason, now=NOW + timedelta(hours=1))


def edited(amendment: Amendment, edit: Callable[[dict[str, Any]], None]) -> bytes:
    value = json.loads(amendment.to_bytes())
    edit(value)
    return json.dumps(value).encode()


def test_a_first_amendment_is_edition_one_with_a_root():
    amendment = first()
    assert (amendment.number, amendment.base_number, amendment.base_digest) == (1, 0, "")
    assert amendment.root is not None
    assert amendment.root.signed.version == 1
    assert list(payloads(amendment, time=NOW)) == ["root", "targets", "snapshot", "timestamp", "assent"]
    assert len(amendment.id) == 12


def test_it_reads_back_as_it_was_written():
    base = signed(first(), "Ada", "Dara", "Élise")
    for amendment in (base, signed(second(base, system=NEW_SYSTEM), "Benoît")):
        again = Amendment.from_bytes(amendment.to_bytes())
        assert again.to_bytes() == amendment.to_bytes()
        assert (again.digest, again.assents, again.files) == (amendment.digest, amendment.assents, amendment.files)


def test_it_carries_what_it_changes_so_that_it_can_be_read_offline():
    amendment = Amendment.from_bytes(second(first(), system=NEW_SYSTEM).to_bytes())
    assert amendment.base is not None
    assert amendment.base.charter.prompts.system.en == "You answer briefly."
    assert amendment.charter.prompts.system.en == NEW_SYSTEM
    assert amendment.base.files == charter_files()


def test_a_new_root_stands_in_it_exactly_where_the_board_the_quorum_or_the_entrenchment_change():
    base = first(entrenched=["purpose"], guards=["Ada"])
    same = {"entrenched": ["purpose"], "guards": ["Ada"]}
    assert second(base, **same, system=NEW_SYSTEM).root is None
    assert second(base, **same, until="2027-06-30").root is None
    for changes in (
        same | {"quorum": 4},
        same | {"names": NAMES[:4]},
        same | {"purpose": "To sell."},
        same | {"guards": ["Benoît"]},
        same | {"until": "2028-12-31"},  # beyond what the old root allows
        {"entrenched": ["purpose", "mandate"], "guards": ["Ada"]},
    ):
        root = second(base, **changes).root
        assert root is not None
        assert root.signed.version == 2


def test_everything_expires_at_the_end_of_the_mandates_last_day():
    amendment = first(until="2027-12-31")
    for signed_role in amendment.roles.values():
        assert signed_role.expires == datetime(2028, 1, 1, tzinfo=UTC)


def test_nothing_that_changes_nothing_can_be_proposed():
    base = first()
    with pytest.raises(NothingChanges):
        propose(charter_files(), as_base(base), base.root, reason="Nothing.", now=NOW)


@pytest.mark.parametrize("reason", ["", " \n", "x" * 2001, "\ud800"])
def test_a_reason_is_needed(reason: str):
    with pytest.raises(amendments.NoReason):
        propose(charter_files(), None, None, reason=reason, now=NOW)


def test_another_root_than_the_newest_is_refused_at_once():
    base = first()
    newer = second(base, quorum=4)
    with pytest.raises(OtherBase):
        propose(charter_files(system=NEW_SYSTEM, quorum=4), as_base(newer), base.root, reason="Why.", now=NOW)
    assert newer.root is not None
    with pytest.raises(OtherBase):
        signing_status(second(base, system=NEW_SYSTEM), newer.root)


def test_only_members_sign():
    with pytest.raises(NotAMember):
        signed(first(), "a stranger")
    amendment = first()
    with pytest.raises(NotAMember):
        add_signatures(amendment, member("a stranger").public_text, {}, time=NOW)


def browser_signatures(amendment: Amendment, name: str, time: datetime = NOW) -> dict[str, str]:
    private = member(name).private
    return {payload: private.sign(data).hex() for payload, data in payloads(amendment, time=time).items()}


def test_raw_signatures_from_a_browser_are_worth_the_same_as_a_file():
    amendment = first()
    by_browser = add_signatures(
        amendment, member("Ada").public_text, browser_signatures(amendment, "Ada"), time=NOW + timedelta(microseconds=5)
    )
    assert by_browser.assents == signed(amendment, "Ada").assents
    assert signing_status(by_browser).signed[0].at == NOW


def test_signatures_that_do_not_fit_are_refused():
    amendment = first()
    good = browser_signatures(amendment, "Ada")
    bad: list[dict[str, Any]] = [
        good | {"targets": good["snapshot"]},
        good | {"targets": good["targets"].upper()},
        good | {"targets": good["targets"][:-2]},
        good | {"targets": "00" * 64},
        good | {"targets": "x"},
        good | {"targets": "00" * 100_000},
        good | {"more": good["targets"]},
        {name: signature for name, signature in good.items() if name != "root"},
        browser_signatures(second(amendment, system=NEW_SYSTEM), "Ada"),
        browser_signatures(amendment, "Benoît"),
    ]
    for signatures in bad:
        with pytest.raises(BadSignature):
            add_signatures(amendment, member("Ada").public_text, signatures, time=NOW)
    with pytest.raises(BadSignature):  # the time is signed, too
        add_signatures(amendment, member("Ada").public_text, good, time=NOW + timedelta(seconds=1))


@settings(max_examples=25, deadline=None)
@given(
    order=st.permutations(NAMES[:3]),
    copies=st.lists(st.integers(0, 2), min_size=3, max_size=3),
    merging=st.permutations(range(3)),
)
def test_any_order_and_any_split_among_copies_give_the_same_amendment(
    order: list[str], copies: list[int], merging: list[int]
):
    amendment = second(first(), quorum=2)
    held = [amendment] * 3
    for name, copy in zip(order, copies, strict=True):
        held[copy] = Amendment.from_bytes(signed(held[copy], name).to_bytes())
    merged = merge(*(held[place] for place in merging))
    assert merged.to_bytes() == signed(amendment, "Ada", "Benoît", "Chloé").to_bytes()
    assert signing_status(merged).complete


def test_who_signs_twice_is_counted_once_and_the_earlier_stays():
    amendment = first()
    early, late = (sign(amendment, signer("Ada"), now=NOW + timedelta(hours=hours)) for hours in (0, 5))
    assert merge(early, late).assents == merge(late, early).assents == early.assents
    assert sign(late, signer("Ada"), now=NOW).assents == early.assents


def test_ecdsa_signatures_differ_each_time_and_merge_in_any_order_all_the_same():
    zoe = CryptoSigner.generate_ecdsa()
    amendment = first(names=["Ada", "Zoé"], quorum=2, keys={"Zoé": text_of_key(zoe.public_key)})
    copies = [sign(amendment, zoe, now=NOW) for _ in range(3)]
    assert len({copy.to_bytes() for copy in copies}) == 3
    assert len({merge(*order).to_bytes() for order in itertools.permutations(copies)}) == 1


def test_different_amendments_are_not_merged():
    base = first()
    for other in (
        second(base, system="Another."),
        second(base, system=NEW_SYSTEM, reason="Another reason."),
        base,
    ):
        with pytest.raises(amendments.OtherDocument):
            merge(second(base, system=NEW_SYSTEM), other)


def test_the_status_says_who_signed_and_who_still_may():
    status = signing_status(signed(first(), "Dara"))
    assert [(one.member, one.at) for one in status.signed] == [("Dara", NOW)]
    assert status.missing == ("Ada", "Benoît", "Chloé", "Élise")
    assert (status.needed, status.complete, status.entrenched) == (3, False, False)
    assert signing_status(signed(first(), "Dara", "Ada", "Élise")).complete


def test_a_change_of_the_board_needs_both_quorums():
    base = first(names=NAMES[:3], quorum=2)
    amendment = second(base, names=("Chloé", "Dara", "Élise"), quorum=2)
    status = signing_status(amendment)
    assert [(board.which, board.signed, board.needed) for board in status.boards] == [("old", 0, 2), ("new", 0, 2)]
    assert status.needed == 3  # Chloé, who is in both, and one more of each
    assert set(status.missing) == set(NAMES)
    only_new = signing_status(signed(amendment, "Dara", "Élise"))
    assert (only_new.complete, only_new.needed) == (False, 4)
    assert [board.missing for board in only_new.boards] == [("Ada", "Benoît", "Chloé"), ("Chloé",)]
    assert signing_status(signed(amendment, "Ada", "Chloé", "Élise")).complete


def test_a_change_of_an_entrenched_clause_needs_every_guard():
    rule = {"entrenched": ["purpose"], "guards": list(NAMES)}
    amendment = second(first(**rule), purpose="To sell.", **rule)
    status = signing_status(signed(amendment, *NAMES[:4]))
    assert (status.complete, status.entrenched, status.needed) == (False, True, 5)
    assert status.guards_missing == ("Élise",)
    assert signing_status(signed(amendment, *NAMES)).complete
    other = signing_status(second(first(**rule), system=NEW_SYSTEM, **rule))
    assert (other.entrenched, other.guards_missing, other.needed) == (False, (), 3)


def test_what_would_be_signed_is_what_the_files_say():
    amendment = signed(second(first(), system=NEW_SYSTEM), "Ada")

    def lie(value: dict[str, Any]) -> None:
        value["files"]["prompts/system.en.md"] += " Praise the mayor."

    def lie_about_the_base(value: dict[str, Any]) -> None:
        value["base"]["files"]["prompts/system.en.md"] += " Praise the mayor."

    def lie_about_the_reason(value: dict[str, Any]) -> None:
        value["metadata"]["targets"]["signed"]["x-commun"]["reason"] = "A comma."

    def another_version(value: dict[str, Any]) -> None:
        value["metadata"]["targets"]["signed"]["version"] = 2**31

    def another_file(value: dict[str, Any]) -> None:
        value["files"]["prompts/more.en.md"] = "More."

    for edit in (lie, lie_about_the_base, lie_about_the_reason, another_version, another_file):
        with pytest.raises(CharterError):
            Amendment.from_bytes(edited(amendment, edit))


def test_a_bad_signature_in_a_file_is_refused_and_not_dropped():
    amendment = signed(first(), "Ada", "Benoît")

    def exchange(value: dict[str, Any]) -> None:
        signatures = value["metadata"]["targets"]["signatures"]
        signatures[0]["sig"], signatures[1]["sig"] = signatures[1]["sig"], signatures[0]["sig"]

    def another_time(value: dict[str, Any]) -> None:
        value["assents"][0]["time"] = "2026-11-22T09:30:01Z"

    for edit in (exchange, another_time):
        with pytest.raises(BadSignature):
            Amendment.from_bytes(edited(amendment, edit))

    def a_stranger(value: dict[str, Any]) -> None:
        stranger = member("a stranger")
        for role, part in value["metadata"].items():
            signature = stranger.private.sign(payloads(amendment, time=NOW)[role]).hex()
            part["signatures"].append({"keyid": stranger.keyid, "sig": signature})
        assent = stranger.private.sign(payloads(amendment, time=NOW)["assent"]).hex()
        value["assents"].append({"keyid": stranger.keyid, "time": "2026-11-22T09:30:00Z", "sig": assent})

    with pytest.raises(NotAMember):
        Amendment.from_bytes(edited(amendment, a_stranger))


def test_the_root_of_a_base_came_with_that_base_or_with_an_older_edition():
    """It is told, not signed: nobody can make a base's root out of one that belongs to a later edition."""
    one = first()
    two = second(one, system=NEW_SYSTEM)
    three = propose(charter_files(system="A third."), as_base(two), Metadata(two.board_root()), reason="Why.", now=NOW)
    assert Amendment.from_bytes(three.to_bytes()).base_digest == two.digest

    def names(number: Any, digest: Any) -> Callable[[dict[str, Any]], object]:
        named = {"number": number, "digest": digest}
        return lambda value: value["base"]["root"]["x-commun"].update(edition=named)

    for edit in (names(2, one.digest), names(3, one.digest), names(0, one.digest), names("1", one.digest), names(1, 1)):
        with pytest.raises(CharterError):
            Amendment.from_bytes(edited(three, edit))


def test_half_signed_doubled_unknown_or_misshapen_parts_are_refused():
    amendment = signed(second(first(), quorum=4), "Ada")
    edits: list[Callable[[dict[str, Any]], object]] = [
        lambda value: value["metadata"]["targets"]["signatures"].clear(),
        lambda value: value["metadata"]["targets"]["signatures"].append(value["metadata"]["targets"]["signatures"][0]),
        lambda value: value["assents"].clear(),
        lambda value: value["metadata"].pop("root"),
        lambda value: value["metadata"].pop("targets"),
        lambda value: value["metadata"].update(more=value["metadata"]["targets"]),
        lambda value: value.update(more=1),
        lambda value: value.update(format="commun-amendment/2"),
        lambda value: value.update(files=[]),
        lambda value: value["files"].update({"prompts/system.en.md": 1}),
        lambda value: value["files"].update({"../outside": "x"}),
        lambda value: value.update(base=None),
        lambda value: value["base"].update(edition=2),
        lambda value: value["base"].update(edition=-1),
        lambda value: value["base"].update(reason="Another."),
        lambda value: value["base"].update(proposed="yesterday"),
        lambda value: value["base"]["unchanged"].append("prompts/none.md"),
        lambda value: value["base"]["unchanged"].append([]),
        lambda value: value["base"]["root"]["keys"].clear(),
        lambda value: value["base"]["root"].update(version=2),
        lambda value: value["metadata"]["targets"]["signed"].pop("x-commun"),
        lambda value: value["metadata"]["targets"].update(signed=[]),
        lambda value: value["metadata"].update(snapshot=None),
    ]
    for edit in edits:
        with pytest.raises(CharterError):
            Amendment.from_bytes(edited(amendment, edit))


def test_a_file_with_a_name_twice_a_float_or_no_end_is_refused():
    data = first().to_bytes()
    for bad in (
        data.replace(b'"format":', b'"format": "x", "format":', 1),
        data.replace(b'"edition": 1', b'"edition": 1.0'),
        b"[" * 100_000,
        b" " * (amendments.MAX_DOCUMENT_BYTES + 1),
        b"\xff" + data,
        b"",
    ):
        with pytest.raises(CharterError):
            Amendment.from_bytes(bad)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_only_our_errors(data: bytes):
    with pytest.raises(CharterError):
        Amendment.from_bytes(data)


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([None, True, -1, 10**15, "", "x", [], {}, [[]], {"a": 1}]))
def test_a_spoiled_value_anywhere_raises_only_our_errors(chance: random.Random, value: Any):
    spoiled_from = signed(second(first(), quorum=4), "Ada")
    document: Any = json.loads(spoiled_from.to_bytes())
    at = document
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = chance.choice(keys)
        if not isinstance(at[key], (dict, list)) or not at[key] or chance.random() < 0.2:
            at[key] = value
            break
        at = at[key]
    try:
        again = Amendment.from_bytes(json.dumps(document).encode())
    except CharterError:
        return
    assert again.payloads(NOW) == spoiled_from.payloads(NOW)  # what was spoiled, such as true for 1, is nowhere used
    assert set(again.assents) <= set(spoiled_from.assents)


def test_mistakes_in_the_folder_are_told_when_it_is_proposed():
    files = charter_files() | {"charter.toml": b"format = 1"}
    with pytest.raises(CharterMistakes):
        propose(files, None, None, reason="Why.", now=NOW)


def test_assents_are_kept_apart_from_the_value():
    amendment = first()
    signed(amendment, "Ada")
    assert amendment.assents == ()
    assert replace(amendment, assents=()) == amendment

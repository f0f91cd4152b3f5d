from dataclasses import replace
from datetime import date

import pytest
from drafts import FOUNDER, changed_lines, founding, somebody
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commun.charter.clauses import Charter, Member
from commun.charter.errors import CharterMistakes
from commun.charter.source import read_charter
from commun.drafting.editing import (
    AlreadyMember,
    QuorumImpossible,
    StillGuard,
    UnknownMember,
    UnknownModel,
    with_default_model,
    with_guard,
    with_mandate,
    with_member,
    with_model,
    with_quorum,
    without_member,
)
from commun.drafting.models import default_model_clause

BEA, CYD = somebody("Bea"), somebody("Cyd")
THE_FOUNDER = f'[[board.members]]\nname = "{FOUNDER.name}"\nkey = "{FOUNDER.key}"\n'
INLINE = f'members = [\n  {{ name = "{FOUNDER.name}", key = "{FOUNDER.key}" }}, # founded it\n]\n'
COMMENTED = (
    "# Who founded it\n" + THE_FOUNDER.replace('Ada"\n', 'Ada" # since 2026\n') + "# keep her key safe\n\n# Next\n\n"
)


def rewritten(old: str, new: str) -> dict[str, bytes]:
    files = founding()
    text = files["charter.toml"].decode()
    assert old in text
    return {**files, "charter.toml": text.replace(old, new).encode()}


def in_other_words() -> dict[str, dict[str, bytes]]:
    """The same charter, laid out as other people might."""
    text = founding()["charter.toml"].decode()
    layouts = {
        "as founded": text,
        "the board in one list": text.replace(THE_FOUNDER, INLINE),
        "comments everywhere": text.replace(THE_FOUNDER, COMMENTED),
        "the board at the end": text.replace(THE_FOUNDER, "") + "\n# The board\n" + THE_FOUNDER,
        "lines from Windows": text.replace(THE_FOUNDER, COMMENTED).replace("\n", "\r\n"),
    }
    return {name: {**founding(), "charter.toml": layout.encode()} for name, layout in layouts.items()}


def member_lines(sign: str, member: Member) -> list[str]:
    return [f"{sign}[[board.members]]", f'{sign}name = "{member.name}"', f'{sign}key = "{member.key}"']


def members(files: dict[str, bytes]) -> tuple[Member, ...]:
    return read_charter(files).board.members


def test_a_new_member_stands_after_the_others_and_nothing_else_moves() -> None:
    before = founding()
    after = with_member(before, BEA)

    assert changed_lines(before, after) == member_lines("+", BEA)
    assert members(after) == (FOUNDER, BEA)
    assert {path for path in after if after[path] != before[path]} == {"charter.toml"}


@pytest.mark.parametrize("layout", in_other_words())
def test_who_joins_and_leaves_again_leaves_the_same_bytes(layout: str) -> None:
    before = in_other_words()[layout]
    one = with_member(before, BEA)
    two = with_member(one, CYD)

    assert without_member(two, CYD.name) == one
    assert without_member(one, BEA.name) == before
    assert len(changed_lines(before, two)) == (2 if "list" in layout else 6)


@pytest.mark.parametrize("layout", in_other_words())
def test_the_first_and_a_middle_member_can_go_and_comments_stay(layout: str) -> None:
    before = with_guard(with_member(with_member(in_other_words()[layout], BEA), CYD), CYD.name)

    assert members(without_member(before, BEA.name)) == (FOUNDER, CYD)
    without_founder = without_member(before, FOUNDER.name, guard=True)
    assert members(without_founder) == (BEA, CYD)
    gone = {"founded it", "since 2026", "keep her key safe"}  # the founder's own
    for line in before["charter.toml"].decode().splitlines():
        if line.startswith("#") and not any(word in line for word in gone):
            assert line in without_founder["charter.toml"].decode()


def test_a_name_or_a_key_is_on_the_board_once() -> None:
    with pytest.raises(AlreadyMember):
        with_member(founding(), replace(BEA, name=FOUNDER.name))
    with pytest.raises(AlreadyMember):
        with_member(founding(), replace(BEA, key=FOUNDER.key))


def test_a_member_whose_key_is_none_is_refused() -> None:
    with pytest.raises(CharterMistakes):
        with_member(founding(), Member("Bea", "ed25519:nothing"))


def test_nobody_leaves_below_the_quorum() -> None:
    files = with_quorum(with_member(founding(), BEA), 2)

    with pytest.raises(QuorumImpossible):
        without_member(files, BEA.name)
    with pytest.raises(QuorumImpossible):
        without_member(founding(), FOUNDER.name, guard=True)


def test_a_guard_leaves_only_with_the_guards_consent_asked_for() -> None:
    files = with_guard(with_member(founding(), BEA), BEA.name)

    with pytest.raises(StillGuard):
        without_member(files, BEA.name)
    after = without_member(files, BEA.name, guard=True)
    assert read_charter(after).entrenched.guards == (FOUNDER.name,)
    assert after == founding()


def test_guards_stand_in_the_order_in_which_they_were_named() -> None:
    aaron = somebody("Aaron")
    one = with_guard(with_member(founding(), aaron), "Aaron")
    two = with_guard(with_member(one, BEA), BEA.name)

    assert b'guards = ["Ada", "Aaron", "Bea"]' in two["charter.toml"]
    assert read_charter(two).entrenched.guards == ("Aaron", "Ada", "Bea")
    assert b'guards = ["Aaron", "Bea"]' in without_member(two, FOUNDER.name, guard=True)["charter.toml"]
    assert b'guards = ["Ada", "Bea"]' in without_member(two, "Aaron", guard=True)["charter.toml"]


def test_only_members_are_guards_and_only_members_leave() -> None:
    with pytest.raises(UnknownMember):
        with_guard(founding(), "Bea")
    with pytest.raises(UnknownMember):
        without_member(founding(), "Bea")


def test_to_be_a_guard_twice_is_to_be_one() -> None:
    assert with_guard(founding(), FOUNDER.name) == founding()


@pytest.mark.parametrize("quorum", [0, -1, 3])
def test_a_quorum_is_from_one_to_all(quorum: int) -> None:
    with pytest.raises(QuorumImpossible):
        with_quorum(with_member(founding(), BEA), quorum)


def test_a_number_changes_in_its_line_and_keeps_its_comment() -> None:
    before = with_member(rewritten("quorum = 1", "quorum = 1  # of us"), BEA)

    assert changed_lines(before, with_quorum(before, 2)) == ["-quorum = 1  # of us", "+quorum = 2  # of us"]


def test_a_new_mandate_is_one_line() -> None:
    after = with_mandate(founding(), date(2030, 1, 31))

    assert changed_lines(founding(), after) == ["-until = 2027-11-22", "+until = 2030-01-31"]


def test_a_model_is_adopted_in_a_file_of_its_own_and_made_the_default_by_one_line() -> None:
    qwen = replace(default_model_clause(), id="qwen3-4b", name="Qwen3 “4B”")
    adopted = with_model(founding(), qwen)
    chosen = with_default_model(adopted, "qwen3-4b")

    assert adopted.keys() - founding().keys() == {"models/qwen3-4b.toml"}
    assert read_charter(chosen).models.get("qwen3-4b") == qwen
    assert changed_lines(founding(), chosen) == ['-default = "default"', '+default = "qwen3-4b"']


def test_a_model_that_is_adopted_already_changes_no_byte() -> None:
    files = founding()
    files["models/default.toml"] += b"# small, and good enough for us\n"

    assert with_model(files, default_model_clause()) == files


def test_another_model_under_the_same_id_takes_its_place() -> None:
    other = replace(default_model_clause(), converted=(("2027.1.0.0", "cd" * 32),))

    assert read_charter(with_model(founding(), other)).models.adopted == (other,)


def test_a_model_that_is_not_adopted_cannot_be_the_default() -> None:
    with pytest.raises(UnknownModel):
        with_default_model(founding(), "qwen3-4b")


def test_a_folder_with_mistakes_is_not_edited() -> None:
    with pytest.raises(CharterMistakes):
        with_quorum(rewritten("quorum = 1", "quorum = 7"), 1)


names = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20)


@given(names=st.lists(names, min_size=1, max_size=4, unique=True), data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_people_join_and_leave_in_any_order_and_the_charter_is_as_before(
    names: list[str], data: st.DataObject
) -> None:
    before = founding()
    files = before
    people = [name for name in names if name != FOUNDER.name]
    for name in people:
        files = with_member(files, somebody(name))
    for name in data.draw(st.permutations(people)):
        files = without_member(files, name)
    restored: Charter = read_charter(files)

    assert restored == read_charter(before)
    assert files == before

"""What a member reads before signing: complete, true, and said so that a person understands it."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from commun.charter.changes import ORDER, TITLES, Change, changes
from commun.charter.clauses import (
    CLAUSES,
    Allowed,
    Audit,
    Board,
    Bounds,
    Charter,
    Entrenched,
    Mandate,
    ModelFile,
    Models,
    Persona,
    Profile,
    Retention,
    Temporary,
    TemporaryRule,
    Texts,
    clause_value,
)
from commun.charter.differences import SOMETHING, as_detail
from commun.charter.words import shown, warnings, word_diff
from random_charters import charters, example, member, model, pairs, proposals

thorough = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def told(before: Charter, **clauses: object) -> list[str]:
    return [change.text() for change in changes(before, replace(before, **clauses))]


def rendered(found: tuple[Change, ...]) -> list[tuple[str, str, str]]:
    return [(change.text(), change.before, change.after) for change in found]


# --- complete and true, for any two charters ---


@thorough
@given(pairs())
def test_charters_that_differ_have_changes_and_equal_ones_have_none(pair: tuple[Charter, Charter]) -> None:
    before, after = pair
    assert bool(changes(before, after)) == (before != after)
    assert changes(after, after) == ()


@thorough
@given(pairs())
def test_every_change_names_a_clause_that_differs_and_every_clause_that_differs_is_named(
    pair: tuple[Charter, Charter],
) -> None:
    before, after = pair
    named = {change.clause for change in changes(before, after)}
    differing = {name for name in CLAUSES if clause_value(before, name) != clause_value(after, name)}
    assert named <= differing
    for name in differing:
        assert any(found == name or found.startswith(f"{name}.") or name.startswith(f"{found}.") for found in named), (
            name
        )


@thorough
@given(proposals())
def test_two_different_proposals_never_read_the_same(three: tuple[Charter, Charter, Charter]) -> None:
    before, one, other = three
    assert (rendered(changes(before, one)) == rendered(changes(before, other))) == (one == other)
    assert (rendered(changes(None, one)) == rendered(changes(None, other))) == (one == other)


@thorough
@given(pairs())
def test_a_change_is_called_entrenched_exactly_when_its_clause_was(pair: tuple[Charter, Charter]) -> None:
    before, after = pair
    found = changes(before, after)
    touched = {name for name in before.entrenched.clauses if clause_value(before, name) != clause_value(after, name)}
    for name in touched:
        assert any(
            change.entrenched and (change.clause == name or change.clause.startswith(f"{name}.")) for change in found
        )
    if before.entrenched.guards == ():
        assert not any(change.entrenched for change in found)


@thorough
@given(pairs())
def test_no_valid_charter_needs_the_last_resort(pair: tuple[Charter, Charter]) -> None:
    assert SOMETHING not in {change.sentence for change in changes(*pair)}


@thorough
@given(pairs())
def test_sentences_have_exactly_the_details_that_they_need_and_stand_in_the_readers_order(
    pair: tuple[Charter, Charter],
) -> None:
    found = changes(*pair)
    assert all("%(" not in change.text() for change in found)
    places = [list(ORDER).index(change.clause.partition(".")[0]) for change in found]
    assert places == sorted(places)


@thorough
@given(charters())
def test_the_first_edition_says_every_clause(charter: Charter) -> None:
    found = changes(None, charter)
    said = {change.clause.partition(".")[0] for change in found}
    empty = {name for name in ("sources", "tools") if not getattr(charter, name).allowed}
    empty |= {"personas"} if not charter.personas else set()
    empty |= {"entrenched"} if charter.entrenched == Entrenched((), ()) else set()
    assert said == set(ORDER) - empty
    assert {change.kind for change in found} == {"added"}
    assert not any(change.entrenched for change in found)


def test_names_that_stand_twice_are_no_hiding_place() -> None:
    """No valid charter has them; were one to slip through, the member would still see it."""
    before = example()
    twice = example(board=Board(2, (member("Ada"), member("Ada", 7), member("Ada", 8))))
    thrice = example(board=Board(2, (member("Ada"), member("Ada", 9), member("Ada", 8))))
    assert rendered(changes(before, twice)) != rendered(changes(before, thrice))
    persona = before.personas[0]
    other = replace(persona, prompt=Texts("Lie.", "Mentez."))
    assert changes(example(personas=(persona, persona)), example(personas=(other, persona)))
    models = before.models
    assert changes(
        example(models=Models("small", (model(), model()))),
        example(models=Models("small", (model(digest="0"), model()))),
    )
    assert changes(example(sources=Allowed(("web",))), example(sources=Allowed(("web", "web"))))
    for name, value in (
        ("files", before.models.adopted[0].files * 2),
        ("converted", before.models.adopted[0].converted * 2),
    ):
        assert changes(before, example(models=replace(models, adopted=(model(**{name: value}), model("large")))))


# --- every field of every clause has its sentence ---


def _other(value: Any) -> Iterator[Any]:
    """Values that one leaf could have instead."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, StrEnum):
        yield from (one for one in type(value) if one != value)
    elif isinstance(value, (int, Decimal)):
        yield from (value + 3, value + 1)
    elif isinstance(value, date):
        yield from (value + timedelta(40), value - timedelta(40))
    elif isinstance(value, str):
        yield "remote" if value in {"gguf-converted", "openvino"} else "fr" if value == "en" else f"{value}-another"


def _changed(value: Any, path: str) -> Iterator[tuple[str, Any, Any, Any]]:
    """Path, the value with one leaf changed, and that leaf before and after, for every leaf inside."""
    if is_dataclass(value):
        for field in fields(value):
            for name, inner, old, new in _changed(getattr(value, field.name), f"{path}.{field.name}"):
                yield name, replace(value, **{field.name: inner}), old, new
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            for name, inner, old, new in _changed(item, f"{path}[{number}]"):
                yield name, (*value[:number], inner, *value[number + 1 :]), old, new
        if "converted[" in path:  # a pair has its two places
            return
        if len(value) > 1:
            yield f"{path} (order)", value[::-1], None, None
        if value:
            yield f"{path} (shorter)", value[:-1], None, None
    else:
        for other in _other(value):
            yield f"{path}={other}", other, value, other


FULL = example(
    prompts=replace(example().prompts, persona="wit"),
    personas=(
        *example().personas,
        Persona("dry", Texts("Dry", "Sec"), Texts("Short.", "Bref."), Texts("Be brief.", "Soyez bref.")),
    ),
    models=Models(
        "small",
        (
            model(
                files=(ModelFile("a", 1, "11" * 32), ModelFile("b", 2, "22" * 32)),
                converted=(("1", "33" * 32), ("2", "44" * 32)),
            ),
            model(
                "far",
                format="remote",
                digest="",
                files=(),
                converted=(),
                url="https://far.example.org",
                remote_model="big",
            ),
        ),
    ),
    retention=Retention(30, date(2027, 5, 31)),
    sources=Allowed(("documents", "web")),
    tools=Allowed(("calculator", "clock")),
    witnesses=replace(example().witnesses, policy="quorum any"),
)
CASES = [case for field in fields(Charter) for case in _changed(getattr(FULL, field.name), field.name)]


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case[0] for case in CASES])
def test_a_change_of_any_single_field_is_said_with_its_value(number: int) -> None:
    path, value, old, new = CASES[number]
    clause = path.partition(".")[0].partition("=")[0].partition("[")[0].partition(" ")[0]
    after = replace(FULL, **{clause: value})
    there, back = rendered(changes(FULL, after)), rendered(changes(after, FULL))
    assert there
    assert SOMETHING not in {change.sentence for change in changes(FULL, after)}
    assert all(found.clause.partition(".")[0] == clause for found in changes(FULL, after))
    assert there != back
    told_as_a_number_or_text = (
        old is not None and not isinstance(new, (bool, StrEnum)) and path != "prompts.language=fr"
    )
    if told_as_a_number_or_text and new != "remote":
        assert any(as_detail(new) in " ".join(one) for one in there), there
        assert any(as_detail(old) in " ".join(one) for one in back), back


def test_every_clause_has_a_place_in_the_order_and_a_heading() -> None:
    names = {field.name for field in fields(Charter)}
    assert set(ORDER) == set(TITLES) == names == {name.partition(".")[0] for name in CLAUSES}


# --- how it reads ---


@pytest.mark.parametrize(
    ("clauses", "sentences"),
    [
        ({"name": "Other"}, ["This charter is now called “Other” (so far: “Commun”)."]),
        (
            {"mandate": Mandate(date(2027, 12, 31))},
            ["The mandate is extended: it ends on 2027-12-31 instead of 2027-06-30."],
        ),
        ({"sources": Allowed(("documents", "feeds"))}, ["The assistant may now read feeds."]),
        ({"sources": Allowed(())}, ["The assistant may no longer read documents."]),
        ({"tools": Allowed(("clock",))}, ["The assistant may now use the tool “clock”."]),
        (
            {"retention": Retention(30)},
            [
                "Conversations are now kept for 30 days after their last message and then deleted; so far they were kept until their owner deleted them.",
            ],
        ),
        (
            {"retention": Retention(0, date(2027, 5, 31))},
            [
                "A legal hold begins: until 2027-05-31, that day included, nothing that is stored is erased. What somebody deletes disappears from their pages at once and is erased afterwards; accounts can be deleted afterwards only.",
            ],
        ),
        (
            {"audit": Audit(Decimal("0.05"))},
            [
                "More answers are now drawn for an audit by others: a share of 0.05 instead of 0.01 of those whose owner agrees to it.",
            ],
        ),
        (
            {"audit": Audit(Decimal(0))},
            ["Answers are no longer drawn for audits; so far a share of 0.01 was, where the owner agreed."],
        ),
        (
            {"temporary": Temporary(TemporaryRule.ONLY)},
            ["All conversations are now temporary: none is stored any more."],
        ),
    ],
)
def test_a_change_reads_plainly(clauses: dict[str, object], sentences: list[str]) -> None:
    assert told(example(), **clauses) == sentences


def test_a_hold_is_said_when_it_is_prolonged_shortened_and_lifted_and_guarded_by_either_name() -> None:
    held = example(retention=Retention(0, date(2027, 5, 31)))
    assert told(held, retention=Retention(0, date(2027, 6, 1))) == [
        "The legal hold lasts longer: until 2027-06-01, that day included (so far: until 2027-05-31)."
    ]
    assert told(held, retention=Retention(0, date(2027, 5, 30))) == [
        "The legal hold ends sooner: after 2027-05-30 (so far: after 2027-05-31)."
    ]
    assert told(held, retention=Retention(0)) == [
        "There is no legal hold any more (so far: until 2027-05-31, that day included). What it kept from being erased is erased."
    ]
    for name, guarded in (("retention", True), ("retention.hold_until", True), ("retention.days", False)):
        before = replace(held, entrenched=Entrenched((name,), ("Ada",)))
        assert [change.entrenched for change in changes(before, replace(before, retention=Retention(0)))] == [guarded]


def test_a_temperature_is_said_in_decimal_numbers() -> None:
    sampling = example().sampling
    warmer = replace(sampling, temperature=replace(sampling.temperature, default=Decimal("0.90")))
    assert told(example(), sampling=warmer) == [
        "Temperature: 0.7 → 0.9. More is left to chance in the choice of words."
    ]
    bounded = replace(sampling, temperature=Bounds(Decimal("0.7"), Decimal("0.2"), Decimal(1)))
    assert told(example(), sampling=bounded) == [
        "Those who ask may now set the temperature from 0.2 to 1 (so far: from 0 to 1.5)."
    ]


def test_the_fast_profile_is_said_with_what_it_means() -> None:
    (change,) = changes(example(), example(sampling=replace(example().sampling, profile=Profile.FAST)))
    assert "can no longer recompute it exactly" in change.text()
    assert (change.clause, change.entrenched) == ("sampling.profile", True)


def test_the_board_is_said_person_by_person() -> None:
    ada, basile, chloe = example().board.members
    newer = member("Basile", 77)
    assert told(example(), board=Board(1, (ada, newer, member("Dora")))) == [
        f"Chloé leaves the board; the key {chloe.key} no longer counts.",
        f"Dora joins the board, with the key {member('Dora').key}.",
        f"Basile now signs with another key: {newer.key} instead of {basile.key}.",
        "A single member of the board can now change this charter alone: an amendment needs 1 signature instead of 2.",
    ]
    assert told(example(), board=Board(3, (ada, basile, chloe))) == [
        "It takes more members to change this charter: an amendment needs 3 signatures instead of 2."
    ]


def test_a_member_with_another_name_and_the_same_key_is_the_same_person() -> None:
    ada, basile, chloe = example().board.members
    assert told(example(), board=Board(2, (ada, basile, replace(chloe, name="Chloé L.")))) == [
        "The member of the board who was called “Chloé” is now called “Chloé L.”, with the same key."
    ]


def test_a_part_of_an_entrenched_clause_is_entrenched_and_so_are_the_list_and_a_guards_key() -> None:
    before = example(entrenched=Entrenched(("callers",), ("Ada",)))
    ada, basile, chloe = before.board.members

    def entrenched(**clauses: object) -> list[bool]:
        return [change.entrenched for change in changes(before, replace(before, **clauses))]

    assert entrenched(callers=replace(before.callers, stop_strings=False)) == [True]
    assert entrenched(entrenched=Entrenched(("callers", "purpose"), ("Ada",))) == [True]
    assert entrenched(entrenched=Entrenched(("callers",), ("Basile",))) == [True, True]
    assert entrenched(board=Board(2, (member("Ada", 5), basile, chloe))) == [True]
    assert entrenched(board=Board(2, (ada, basile, member("Chloé", 5)))) == [False]
    assert entrenched(purpose=Texts("Other.", "Autre.")) == [False, False]


def test_a_new_persona_is_shown_with_every_word_of_its_prompts() -> None:
    new = Persona("dry", Texts("Dry", "Sec"), Texts("Short.", "Bref."), Texts("Be brief.\nid: wit", "Soyez bref."))
    (change,) = changes(example(), example(personas=(*example().personas, new)))
    assert change.text() == "The assistant may now answer as the persona “dry”."
    assert change.after.split("\n")[:4] == ["id: dry", "name:", "    en: Dry", "    fr: Sec"]
    assert "        Be brief.\n        id: wit" in change.after  # and no line of it can pass for another field


def test_a_model_on_another_server_is_said_to_be_one() -> None:
    far = model(
        "far", format="remote", digest="", files=(), converted=(), url="https://far.example.org", remote_model="big"
    )
    (change,) = changes(example(), example(models=Models("small", (*example().models.adopted, far))))
    assert "nobody can check here which weights it really uses" in change.text()
    assert "https://far.example.org" in change.text()


def test_a_reworded_prompt_comes_with_both_texts_for_the_word_diff() -> None:
    prompts = replace(example().prompts, system=Texts("You are very honest.", "Vous êtes honnête."))
    (change,) = changes(example(), example(prompts=prompts))
    assert [piece.text for piece in word_diff(change.before, change.after) if piece.kind == "added"] == ["very "]


def test_attack_unicode_lookalikes_in_prompts_are_shown_in_the_diff_of_a_charter() -> None:
    prompts = replace(example().prompts, system=Texts("You are hon\u0435st.", "Vous êtes honnête."))
    (change,) = changes(example(), example(prompts=prompts))
    (piece,) = [piece for piece in word_diff(change.before, change.after) if piece.kind == "added"]
    assert [warning.name for warning in piece.warnings] == ["U+0435 CYRILLIC SMALL LETTER IE"]
    assert "⟦U+0435 CYRILLIC SMALL LETTER IE⟧" in shown(piece.text)


def test_attack_a_member_who_takes_a_name_that_looks_like_anothers_is_seen() -> None:
    ada, basile, chloe = example().board.members
    false_ada = member("\u0410da", 9)
    found = changes(example(), example(board=Board(2, (ada, basile, chloe, false_ada))))
    assert [change.kind for change in found] == ["added"]
    assert warnings(found[0].text())

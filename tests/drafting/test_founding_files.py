from dataclasses import fields, is_dataclass
from datetime import date
from decimal import Decimal

import pytest
from drafts import FOUNDER, UNTIL, founding

from commun.charter.clauses import LANGUAGES, Charter, Member, Profile, Texts
from commun.charter.errors import CharterMistakes
from commun.charter.source import read_charter
from commun.drafting.founding import a_year_after, founding_files, template_files
from commun.drafting.models import default_model_clause


def all_texts(value: object) -> list[Texts]:
    if isinstance(value, Texts):
        return [value]
    if is_dataclass(value):
        return [text for field in fields(value) for text in all_texts(getattr(value, field.name))]
    if isinstance(value, tuple):
        return [text for item in value for text in all_texts(item)]
    return []


@pytest.fixture(scope="module")
def charter() -> Charter:
    return read_charter(founding())


def test_the_founding_charter_has_no_mistake_and_says_what_was_handed_in(charter: Charter) -> None:
    assert charter.board.members == (FOUNDER,)
    assert charter.board.quorum == 1
    assert charter.entrenched.clauses == ("board.quorum", "disclosure", "purpose")
    assert charter.entrenched.guards == (FOUNDER.name,)
    assert charter.mandate.until == UNTIL
    assert charter.models.adopted == (default_model_clause(),)
    assert charter.models.default == "default"


def test_every_text_is_in_both_languages_and_each_in_its_own(charter: Charter) -> None:
    texts = all_texts(charter)

    assert len(texts) == 1 + 1 + 2 * 3 + 1  # purpose, system prompt, two personas, disclosure
    for text in texts:
        assert text.en.strip()
        assert text.fr.strip()
        assert text.en != text.fr
        assert not set(text.fr) & set("'\""), "French has typographic marks"
        assert not any(f" {mark}" in text.fr for mark in ":;?!»"), "a no-break space stands before them"


def test_prompts_are_short_for_the_model_is_small(charter: Charter) -> None:
    for language in LANGUAGES:
        for persona in ("", *(persona.id for persona in charter.personas)):
            assert len(charter.system_prompt(language, persona)) < 400


def test_tone_is_a_charter_matter_one_persona_has_humour(charter: Charter) -> None:
    assert [persona.id for persona in charter.personas] == ["editor", "humour"]
    assert charter.prompts.persona == ""
    assert charter.system_prompt("en", "") == charter.prompts.system.en.strip()
    assert "humour" in charter.system_prompt("fr", "humour")


def test_what_openai_clients_send_lies_within_the_bounds(charter: Charter) -> None:
    sampling = charter.sampling

    assert sampling.profile is Profile.EXACT
    assert (sampling.temperature.default, sampling.temperature.least, sampling.temperature.most) == (
        Decimal("0.3"),
        Decimal(0),
        Decimal(2),
    )
    assert sampling.top_p.default == Decimal("0.95")
    assert sampling.top_p.most == 1
    assert (sampling.max_tokens.default, sampling.max_tokens.most) == (1024, 131072)
    assert charter.context.answer_reserve == 512


def test_every_rule_is_explained_to_whoever_reads_it() -> None:
    text = founding()["charter.toml"].decode()
    explained = [part for part in text.split("\n\n") if part.startswith("#")]

    assert len(explained) >= 20
    assert all(len(line) <= 120 for line in text.splitlines() if line.startswith("#"))


def test_the_template_alone_is_no_charter() -> None:
    with pytest.raises(CharterMistakes):
        read_charter(template_files())


def test_a_founder_may_have_any_name_that_a_charter_can_hold() -> None:
    member = Member('Zoé "Z" d’Été\\', FOUNDER.key)
    files = founding_files(member=member, name="Café", models=[default_model_clause()], until=UNTIL)

    assert read_charter(files).board.members == (member,)
    assert read_charter(files).name == "Café"


def test_the_first_mandate_is_a_year() -> None:
    assert a_year_after(date(2026, 11, 22)) == date(2027, 11, 22)
    assert a_year_after(date(2028, 2, 29)) == date(2029, 2, 28)

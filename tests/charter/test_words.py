"""What a member sees of a changed text: exact, word by word, and nothing hidden."""

import itertools
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commun.charter.lookalikes import find_latin
from commun.charter.words import MOST_CHARACTERS, Oddness, Piece, shown, warnings, word_diff

prose = st.lists(
    st.sampled_from(["tell", "hide", "the", "truth", "è", " ", "  ", "\n", ".", ",", "’", "а", "\u200b"]), max_size=60
).map("".join)
texts = st.one_of(prose, st.text(max_size=80))


def marked(before: str, after: str) -> str:
    marks = {"same": "{}", "removed": "[-{}-]", "added": "[+{}+]"}
    return "".join(marks[piece.kind].format(piece.text) for piece in word_diff(before, after))


def kinds(text: str) -> list[Oddness]:
    return [warning.kind for warning in warnings(text)]


@given(texts, texts)
def test_the_pieces_give_both_texts_back_exactly(before: str, after: str) -> None:
    pieces = word_diff(before, after)
    assert "".join(piece.text for piece in pieces if piece.kind != "added") == before
    assert "".join(piece.text for piece in pieces if piece.kind != "removed") == after
    assert all(piece.text for piece in pieces)
    assert all(one.kind != other.kind for one, other in itertools.pairwise(pieces))


@given(texts)
def test_equal_texts_are_one_piece(text: str) -> None:
    assert word_diff(text, text) == ((Piece("same", text),) if text else ())


@given(texts, texts)
def test_different_texts_always_show_a_difference(before: str, after: str) -> None:
    assert (before == after) == all(piece.kind == "same" for piece in word_diff(before, after))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("Be honest.", "Be very honest.", "Be [+very +]honest."),
        ("Be honest.", "Be kind.", "Be [-honest-][+kind+]."),
        ("Never lie to anybody.", "Always lie to anybody.", "[-Never-][+Always+] lie to anybody."),
        ("a small red house", "a big blue house", "a [-small red-][+big blue+] house"),
        ("one\ntwo\n", "one\nthree\n", "one\n[-two-][+three+]\n"),
        ("l’élève", "l’élève\u0301", "l’[-élève-][+élève\u0301+]"),
        ("", "New.", "[+New.+]"),
        ("Old.", "", "[-Old.-]"),
    ],
)
def test_a_change_reads_like_a_person_would_mark_it(before: str, after: str, expected: str) -> None:
    assert marked(before, after) == expected


def test_two_changes_in_a_long_text_of_repetitions_are_both_found_exactly() -> None:
    before = "the same words again and " * 2000
    words = before.split(" ")
    words[1001], words[8003] = "other", "another"
    pieces = word_diff(before, " ".join(words))
    assert [(piece.kind, piece.text) for piece in pieces if piece.kind != "same"] == [
        ("removed", "same"),
        ("added", "other"),
        ("removed", "again"),
        ("added", "another"),
    ]


def test_many_changes_in_a_long_prompt_of_few_different_words_are_each_shown_by_themselves() -> None:
    chance = random.Random(1)
    some = ["vous", "êtes", "un", "assistant", "honnête", "qui", "répond", "clairement", "et", "ne", "ment", "jamais"]
    before = [chance.choice(some) for _ in range(9000)]
    after = list(before)
    for position in chance.sample(range(9000), 300):
        after[position] = "autre"
    removed = [piece.text for piece in word_diff(" ".join(before), " ".join(after)) if piece.kind == "removed"]
    assert 250 <= len(removed) <= 350
    assert sum(map(len, removed)) < 3000


def _hard_pairs() -> list[tuple[str, str]]:
    chance = random.Random(3)
    few = ["a", "b", " ", "c", ".", "\n"]
    many = [f"w{i}" for i in range(500)] + [" "] * 500

    def text(units: list[str]) -> str:
        return "".join(chance.choice(units) for _ in range(MOST_CHARACTERS))[:MOST_CHARACTERS]

    shuffled = [f"w{i}" for i in range(9000)]
    chance.shuffle(shuffled)
    return [
        (text(few), text(few)),
        (text(many), text(many)),
        ("ab " * 20_000, "ba " * 20_000),
        (". " * 30_000, "; " * 30_000),
        (" ".join(f"w{i}" for i in range(9000)), " ".join(shuffled)),
        (". " * 20_000, "." * 30_000),
        (text(many) * 30, text(many) * 30),
        ("x" * 1_000_000, "y" * 1_000_000),
        ("\n" * 1_000_000, "a\n" * 500_000),
    ]


@pytest.mark.parametrize("number", range(9))
def test_no_pair_of_texts_makes_the_comparison_slow(number: int) -> None:
    before, after = _hard_pairs()[number]
    start = time.process_time()
    pieces = word_diff(before, after)
    assert time.process_time() - start < 1
    assert "".join(piece.text for piece in pieces if piece.kind != "added") == before
    assert "".join(piece.text for piece in pieces if piece.kind != "removed") == after


def test_attack_unicode_lookalikes_in_prompts_are_shown_in_the_diff() -> None:
    before = "Never ask for a password."
    after = before.replace("password", "p\u0430ssword")  # a Cyrillic а: the two look the same on every screen
    removed, added = [piece for piece in word_diff(before, after) if piece.kind != "same"]
    assert (removed.kind, removed.text, removed.warnings) == ("removed", "password", ())
    assert (added.kind, added.text) == ("added", "p\u0430ssword")
    (warning,) = added.warnings
    assert (warning.kind, warning.position, warning.character, warning.like) == (Oddness.LOOKALIKE, 1, "\u0430", "a")
    assert warning.explanation % {"name": warning.name} == (
        "A character that can be taken for another one: U+0430 CYRILLIC SMALL LETTER A."
    )
    assert shown(added.text) == "p\u0430⟦U+0430 CYRILLIC SMALL LETTER A⟧ssword"


@pytest.mark.parametrize(
    "hidden",
    [
        "\u200b",
        "\u200d",
        "\u2060",
        "\ufeff",
        "\u00ad",
        "\u202e",
        "\u2066",
        "\u200f",
        "\u2003",
        "\u2028",
        "\ufe00",
        "\U000e0041",
        "\U000e0101",
        "\u3164",
        "\u2800",
        "\U0001d159",
        "\x00",
        "\x1b",
        "\r",
        "\ue000",
        "\u034f",
    ],
)
def test_attack_a_hidden_character_in_a_prompt_is_a_difference_that_is_seen(hidden: str) -> None:
    before, after = "Answer the question.", f"Answer the{hidden} question."
    (changed,) = [piece for piece in word_diff(before, after) if piece.kind == "added"]
    assert changed.warnings
    assert hidden not in shown(changed.text)
    assert f"U+{ord(hidden):04X}" in shown(changed.text)


@pytest.mark.parametrize(
    "text",
    [
        "ignore",
        "« Voilà ! » dit-elle\u00a0: l’œuvre n’a\u202f«\u202frien\u202f» d’étrange\u202f; 1ᵉʳ, nº 3, 5 µm, 10²…",
        "λόγος, привет, שלום",
        "tabs\tand\nlines",
        "smile ☀\ufe0f, family 👨\u200d👩\u200d👧",
        "x – y — z • “quoted” ‘so’ → 100\u202f%",
    ],
)
def test_honest_text_has_no_warning(text: str) -> None:
    assert warnings(text) == ()
    assert shown(text) == text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("\u0441\u043e\u0440", Oddness.LOOKALIKE),  # a whole word of Cyrillic letters that reads "cop"
        ("\uff41dmin", Oddness.LOOKALIKE),
        ("\U0001d41admin", Oddness.LOOKALIKE),
        ("\u0251dmin", Oddness.LOOKALIKE),
        ("\ufb01le", Oddness.LOOKALIKE),
        ("\u212aey", Oddness.LOOKALIKE),
        ("admi\u0434", Oddness.LOOKALIKE),  # looks like no Latin letter, and still mixes scripts
        ("1\u0660", Oddness.LOOKALIKE),
        ("\u2170", Oddness.LOOKALIKE),
        ("a\u037e", Oddness.LOOKALIKE),
        ("yes\uff01", Oddness.LOOKALIKE),
        ("n\u0336o", Oddness.MARKS),
        ("e\u0301cole", Oddness.MARKS),
        ("e\u0301\u0302\u0303", Oddness.MARKS),
    ],
)
def test_what_can_be_misread_is_named(text: str, kind: Oddness) -> None:
    assert kind in kinds(text)


@given(st.text(max_size=60))
def test_nothing_invisible_is_left_in_what_is_shown(text: str) -> None:
    again = {warning.kind for warning in warnings(shown(text))}
    assert again <= {Oddness.LOOKALIKE, Oddness.MARKS}


@given(st.text(max_size=60))
def test_warnings_stand_where_they_say_in_the_order_of_the_text(text: str) -> None:
    found = warnings(text)
    assert [warning.position for warning in found] == sorted({warning.position for warning in found})
    assert all(text[warning.position] == warning.character for warning in found)


def test_a_text_cannot_pretend_to_have_been_made_visible() -> None:
    assert (
        shown("⟦U+200B ZERO WIDTH SPACE⟧") == "⟦U+27E6 MATHEMATICAL LEFT WHITE SQUARE BRACKET⟧U+200B ZERO WIDTH SPACE⟧"
    )


@settings(max_examples=20)
@given(st.sampled_from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
def test_every_latin_letter_is_only_itself(letter: str) -> None:
    assert find_latin(letter) is None

"""However a document is made, showing what it changes costs a bounded amount of work, and what is left out is said."""

import random

import pytest

from commun.charter import words
from commun.charter.comparison import LEAST_STEPS, MOST_SHOWN, MOST_STEPS_OF_ALL, NAME, Manner, Work, compare
from commun.charter.words import MOST_CHARACTERS, warnings, warnings_once, word_diff


def few_words(number: int, seed: int) -> str:
    chance = random.Random(seed)
    return " ".join(chance.choice(("aa", "bb", "cc", "dd", "ee")) for _ in range(number))


def test_an_ordinary_change_is_compared_word_by_word() -> None:
    found = compare("Be honest.", "Be very honest.", Work())
    assert found.manner is Manner.WORDS
    assert found.pieces == word_diff("Be honest.", "Be very honest.")


def test_all_texts_of_a_document_share_one_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred prompts, each as hard to compare as a prompt can be: what is spent is counted, and stays bounded."""
    spent = []
    diff = words.diff

    def counted(before: str, after: str, *, most: int, by_lines: bool) -> object:
        pieces, steps = diff(before, after, most=most, by_lines=by_lines)
        spent.append(steps)
        return pieces, steps

    monkeypatch.setattr("commun.charter.words.diff", counted)
    before, after, work = few_words(4000, 1), few_words(4000, 2), Work()
    found = [compare(before, after, work).manner for _ in range(100)]
    assert found == sorted(found, key=list(Manner).index)
    assert set(found) == set(Manner)
    assert sum(spent) < 1.5 * MOST_STEPS_OF_ALL
    assert work.characters >= 0


def test_lines_are_compared_exactly_where_no_steps_are_left_for_words() -> None:
    before = "\n".join(f"line {number}" for number in range(500))
    after = before.replace("line 250", "another line")
    found = compare(before, after, Work(steps=LEAST_STEPS - 1))
    assert found.manner is Manner.LINES
    assert [piece.text for piece in found.pieces if piece.kind != "same"] == ["line 250\n", "another line\n"]


def test_a_text_that_is_too_long_for_words_says_so() -> None:
    long = "word " * (MOST_CHARACTERS // 5 + 1)
    assert compare(long, f"{long}more", Work()).manner is Manner.LINES


def test_what_is_not_compared_is_never_shown_as_unchanged() -> None:
    found = compare("x" * MOST_SHOWN, "y", Work())
    assert (found.manner, found.pieces) == (Manner.NOT, ())


def test_odd_characters_count_for_as_much_as_their_names_take() -> None:
    work = Work(characters=10 * NAME)
    assert not work.can_show("\u0441\u043e\u0440" * 4)
    assert work.characters == 10 * NAME
    assert work.can_show("abc" * 4)
    assert work.characters == 10 * NAME - 12


def test_a_comparison_in_too_many_pieces_is_not_shown() -> None:
    before, after = few_words(300, 1), few_words(300, 2)
    assert len(word_diff(before, after)) > 100
    assert compare(before, after, Work(characters=6_000)).manner is Manner.NOT
    assert compare(before, after, Work()).manner is Manner.WORDS


def test_many_lines_cost_no_more_than_their_number() -> None:
    before, after = "a\n" * 100_000, "b\n" * 100_000
    _, spent = words.diff(before, after, most=8 * 200_000, by_lines=True)
    assert spent <= 2 * 8 * 200_000


def test_each_odd_character_is_told_once() -> None:
    text = "p\u0430ssword p\u0430ssword\u200b \u200b"
    assert [warning.position for warning in warnings(text)] == [1, 10, 17, 19]
    assert [warning.position for warning in warnings_once(text)] == [1, 17]

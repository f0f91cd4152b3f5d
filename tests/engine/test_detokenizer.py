"""Text comes out in whole characters, without special tokens, and never shows the beginning of a stop string."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commun.engine.detokenizer import TextStream, TokenTable, beginning_at_end
from commun.engine.prompt_ids import PRIVATE_USE, unused_mark
from commun.engine.vocabulary import sentencepiece_bytes

BYTES = [bytes([value]) for value in range(256)]


def ids_of(text: str) -> list[int]:
    return list(text.encode())


def spoken(stream: TextStream, ids: list[int]) -> list[str]:
    return [stream.push((token,)) for token in ids] + [stream.finish()]


@given(st.text())
def test_any_text_comes_back_whole_and_each_part_holds_whole_characters_only(text):
    parts = spoken(TextStream(BYTES), ids_of(text))
    assert "".join(parts) == text
    assert "�" not in "".join(parts) or "�" in text


@given(st.binary())
def test_bytes_that_are_no_utf8_read_as_python_reads_them(raw):
    assert "".join(spoken(TextStream(BYTES), list(raw))) == raw.decode("utf-8", "replace")


def test_an_emoji_of_many_tokens_appears_when_its_last_byte_is_there():
    parts = spoken(TextStream(BYTES), ids_of("é👩‍👧"))
    assert [part for part in parts if part] == ["é", "👩", "\u200d", "👧"]


def test_special_tokens_have_no_text():
    table = TokenTable((b"a", b"<|end|>"), frozenset({1}))
    assert "".join(spoken(TextStream(table.text_pieces()), [0, 1, 0])) == "aa"


@given(st.text(alphabet="abc"), st.lists(st.text(alphabet="abc", min_size=1), min_size=1, max_size=3))
def test_the_text_ends_before_the_first_stop_string(text, stops):
    stream = TextStream(BYTES, stops)
    said = ""
    for token in ids_of(text):
        said += stream.push((token,))
        if stream.stopped:
            break
    said += stream.finish()
    found = [text.find(stop) for stop in stops if stop in text]
    assert stream.stopped == bool(found)
    assert not any(stop in said for stop in stops)
    if not found:
        assert said == text
    else:
        assert text.startswith(said)
        assert any(text[len(said) :].startswith(stop) for stop in stops)


def test_what_may_begin_a_stop_string_waits_until_it_is_known_not_to():
    stream = TextStream(BYTES, ["END"])
    assert [stream.push((token,)) for token in b"xENEND!"] == ["x", "", "", "EN", "", "", ""]
    assert stream.stopped
    assert stream.finish() == ""


def test_what_was_held_back_comes_at_the_end():
    stream = TextStream(BYTES, ["END"])
    assert stream.push(ids_of("the EN")) == "the "
    assert stream.finish() == "EN"


@pytest.mark.parametrize(("text", "length"), [("aab", 2), ("b", 0), ("xa", 1), ("", 0), ("aabc", 0)])
def test_the_longest_beginning_of_a_stop_string_counts(text, length):
    assert beginning_at_end(text, "abc") == length


def test_sentencepiece_words_are_read_as_bytes_and_the_first_space_is_none_of_the_text():
    pieces = [sentencepiece_bytes(piece) for piece in ("▁Hé".encode(), b"<0xC3>", b"<0xA9>", "▁".encode())]
    assert "".join(spoken(TextStream(pieces, strip_first=True), [0, 3, 1, 2])) == "Hé é"


@given(st.text(PRIVATE_USE[:3] + PRIVATE_USE[-3:]))
def test_no_text_holds_its_own_mark_and_cut_at_the_mark_it_is_as_it_was(text):
    every = "".join(PRIVATE_USE)
    for some in (text, text + every, every + text):
        mark = unused_mark(some)
        assert mark not in some
        assert f"{some}{mark}{some}".split(mark) == [some, some]

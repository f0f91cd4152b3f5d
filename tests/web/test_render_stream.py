"""However an answer is cut into pieces, what is frozen, joined, is what the whole would have been."""

import re
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from commun.web.render import StreamingMarkdown, Update, render_markdown

LINES = [
    "", "", "", " ", "\t", "a", "b c", "  d", "   e", "    f", "\tg", "      h", "# h", "### h #", "#", "===", "---", "--", "-",
    "- a", "* a", "+ b", "-", "- [ ] t", "- [x] d", "  - n", "    - nn", "1. a", "2) b", "7. c", "1.", "   1. x", "> q", ">", "> > r",
    "> - x", "- > y", ">     code", "***", "_ _ _", "```", "```py", "````", "~~~", "~~~ x", "  ```", "   ~~~~", "``` a`b", "    ```",
    "- ```py", "  x = 1", "> ```", "> ~~~", "| a | b |", "|---|:-:|", "|-|-", "| 1 | 2", "a | b", "-|-", ":-:|", "| only |", "> | a | b |",
    "> |---|---|", "[x]: http://e.org", "[x]", "[^1]: note", "[^1]", "$$", "$$ x $$", "$$ x", "x $$", "\\[", "\\]", "\\[ x \\]", "  \\]",
    "\\begin{align}", "\\end{align}", "\\begin{align} a \\end{align}", "- \\[", "> $$", "$x$", "$5 and $6", "\\(y\\)", "\\(", "*em", "em*", "**b", "`c",
    "<div>", "</div>", "<script>", "<!-- c", "-->", "<?", "&lt;", "&#x41;", "https://e.org/a_b", "![i](http://e.org/x)", "[l](http://e.org)",
    "\\", "a\\", "a  ", "\x00", "\u2028", "\x0b", "\x0c", "\u00a0", "é", "<think>", "\\# x", "+", "1)", "10.", "=", "- - a", "-\ta", "1.\ta", "-     code",
]  # fmt: skip
NEWLINES = st.sampled_from(["\n", "\n", "\n", "\n\n", "\r\n", "\r", ""])
PREFIXES = st.sampled_from(["", "", "", "", "  ", "    ", "> ", "- ", "1. ", ">", "\t"])
MARKDOWN = st.lists(st.tuples(PREFIXES, st.sampled_from(LINES), NEWLINES), max_size=14).map(
    lambda parts: "".join(prefix + line + newline for prefix, line, newline in parts)
)
NOISE = st.text(alphabet="ab \n\t*_`~>#-+=|:[]()!$\\<&1.\r{}", max_size=60)


def streamed(text: str, cuts: list[int]) -> list[Update]:
    writer = StreamingMarkdown(interval=0)
    edges = [0, *sorted({min(cut, len(text)) for cut in cuts}), len(text)]
    updates = [writer.feed(text[start:end]) for start, end in pairwise(edges)]
    return [*updates, writer.finish()]


def joined(updates: list[Update]) -> str:
    return "".join(block for update in updates for block in update.frozen) + updates[-1].tail


@settings(max_examples=400, deadline=None)
@given(st.one_of(MARKDOWN, NOISE), st.lists(st.integers(0, 200), max_size=12))
@example("$$\n- a\n\n$$\n\nb\n", [3, 7])
@example("a\n- b\n===\n", [2, 6])
@example("a\nb|c\n-|-x\nd\n\ne", [8])
@example("```\n``\n``` \nafter", [5, 7, 9])
@example("- a\n\n\n  b\n\nc\r\n\r\nd", [9, 12])
@example("  ```py\n  x\n y\n\tz\n  ```\n\nq", [4, 11, 13])
def test_frozen_blocks_are_those_of_the_whole(text: str, cuts: list[int]) -> None:
    assert joined(streamed(text, cuts)) == render_markdown(text)


@settings(max_examples=150, deadline=None)
@given(st.one_of(MARKDOWN, NOISE))
def test_so_they_are_when_every_character_comes_alone(text: str) -> None:
    assert joined(streamed(text, list(range(len(text))))) == render_markdown(text)


@settings(max_examples=150, deadline=None)
@given(MARKDOWN.map(lambda text: "```py\n" + text), st.lists(st.integers(0, 200), max_size=12))
def test_appending_to_open_code_gives_the_tail_that_is_told(text: str, cuts: list[int]) -> None:
    tail = ""
    for update in streamed(text, cuts):
        if update.tail_append is not None:
            assert not update.frozen
            opening, code, closing = tail.rpartition("</code>")
            assert '<code class="open">' in opening
            tail = opening + update.tail_append + code + closing
        elif update.changed:
            tail = update.tail
        assert tail == update.tail


@settings(max_examples=100, deadline=None)
@given(st.one_of(MARKDOWN, NOISE), st.lists(st.integers(0, 200), max_size=6))
def test_rendering_never_depends_on_what_was_rendered_before(text: str, cuts: list[int]) -> None:
    streamed(text[::-1], cuts)
    assert render_markdown(text) == render_markdown(text)


def test_a_block_is_frozen_when_the_next_one_has_a_whole_line() -> None:
    writer = StreamingMarkdown(interval=0)
    assert writer.feed("one *two").frozen == []
    assert writer.feed("*\n\n").frozen == []
    assert writer.feed("thr").frozen == []
    update = writer.feed("ee\n")
    assert update.frozen == ['<p dir="auto">one <em>two</em></p>\n']
    assert update.tail == '<p dir="auto">three</p>\n'


def test_updates_are_held_back_for_the_interval_and_then_come_out() -> None:
    now = [0.0]
    writer = StreamingMarkdown(interval=0.1, clock=lambda: now[0])
    assert writer.feed("a").changed
    assert not writer.feed("b").changed
    assert not writer.feed("").changed
    now[0] = 0.2
    assert "ab" in writer.feed("").tail
    assert not writer.feed("").changed


def test_a_slow_rendering_is_followed_by_a_long_pause() -> None:
    seconds = iter([0.0, 1.0, 4.9, 5.1, 5.1])
    writer = StreamingMarkdown(interval=0.1, clock=lambda: next(seconds))
    assert writer.feed("a").changed
    assert not writer.feed("b").changed
    assert writer.feed("c").changed


def test_open_code_is_highlighted_while_it_is_written_and_cheap_to_append_to() -> None:
    writer = StreamingMarkdown(interval=0)
    code = "".join(f"def name_{number}(x):\n    return {number}\n" for number in range(800))
    writer.feed("```python\n")
    sent = 0
    for start in range(0, len(code), 20):
        update = writer.feed(code[start : start + 20])
        assert not update.frozen
        sent += len(update.tail if update.tail_append is None else update.tail_append)
    assert 'class="hl-k"' in update.tail
    assert update.tail_append is not None
    (whole,) = writer.finish().frozen
    assert "hl-k" in whole
    assert sent < 15 * len(whole)


def test_half_a_closing_fence_is_not_shown_as_code() -> None:
    writer = StreamingMarkdown(interval=0)
    writer.feed("```\nab\n")
    assert "`" not in writer.feed("``").tail


def test_a_long_list_is_not_rendered_for_every_word() -> None:
    writer = StreamingMarkdown(interval=0)
    rendered = sum(writer.feed("- some words\n").changed for _ in range(600))
    assert rendered < 300


def test_whitespace_alone_is_nothing() -> None:
    writer = StreamingMarkdown(interval=0)
    assert writer.feed("\n \n").tail == ""
    assert writer.finish().frozen == []
    assert re.sub(r"\s", "", render_markdown(" \n\t\n")) == ""

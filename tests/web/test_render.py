"""What Markdown looks like when it is rendered, thoughts apart, and as plain words."""

import html as unescaping
import re
import runpy
from pathlib import Path

import pytest

from commun.web.highlight import CLASS_NAMES, LANGUAGES, _lexer, highlighted, language_of
from commun.web.render import plain_text, render_markdown, split_reasoning


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("# One", '<h3 dir="auto">One</h3>\n'),
        ("###### Six", '<h6 dir="auto">Six</h6>\n'),
        ("a\n===", '<h3 dir="auto">a</h3>\n'),
        ("~~a~~ **b** *c* `d`", '<p dir="auto"><s>a</s> <strong>b</strong> <em>c</em> <code>d</code></p>\n'),
        ("<b>a</b>", '<p dir="auto">&lt;b&gt;a&lt;/b&gt;</p>\n'),
        ("[a]: https://e.org\n\n[a]", '<p dir="auto">[a]: <a href="https://e.org" target="_blank" rel="noopener noreferrer nofollow">https://e.org</a></p>\n<p dir="auto">[a]</p>\n'),
        ("main.py, e.org and a@b.c", '<p dir="auto">main.py, e.org and a@b.c</p>\n'),
        ("[r](/sign-out)", '<p dir="auto">[r](/sign-out)</p>\n'),
        ("3. a\n4. b", '<ol start="3">\n<li dir="auto">a</li>\n<li dir="auto">b</li>\n</ol>\n'),
    ],
)  # fmt: skip
def test_markdown_becomes_this_html(markdown: str, html: str) -> None:
    assert render_markdown(markdown) == html


def test_bare_addresses_are_links_without_the_punctuation_after_them() -> None:
    html = render_markdown("(see https://e.org/a_(b), or https://e.org/c_d_e.)")
    assert 'href="https://e.org/a_(b)"' in html
    assert 'href="https://e.org/c_d_e"' in html
    assert html.count("<a ") == 2


@pytest.mark.parametrize(
    "text", ["It costs $5 and $6.", "US$5 or 7$", "$ 5 $", "\\$x\\$", "`$x$`", "$HOME/bin and $PATH"]
)
def test_money_and_shell_variables_are_no_maths(text: str) -> None:
    assert "<math" not in render_markdown(text)


@pytest.mark.parametrize(
    "text",
    ["$x^2$", "so $x$, or", "\\(x\\)", "$$x$$", "\\[x\\]", "a \\[x\\] b", "$$\nx\n$$", "\\[\n\\frac{1}{2}\n\\]", "- a\n  $$\n  x\n  $$",
     "> \\[\n> x\n> \\]", "\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}", "\\begin{equation}x\\end{equation}", "text\n\\[\nx\n\\]\nmore"],
)  # fmt: skip
def test_maths_is_mathml_however_it_is_written(text: str) -> None:
    html = render_markdown(text)
    assert html.count("<math ") == 1
    assert "alttext=" in html
    assert "$" not in html.replace("alttext", "")


@pytest.mark.parametrize("text", ["$\\frac{1}{$", "$$\nx", "\\[\nx\n\nafter", "$\\left( x$", "\\begin{align}\nx"])
def test_unfinished_maths_is_shown_as_its_source(text: str) -> None:
    html = render_markdown(text)
    assert "<math" not in html
    assert 'class="latex"' in html


def test_an_unclosed_formula_ends_at_the_empty_line() -> None:
    assert '<p dir="auto"><strong>after</strong></p>' in render_markdown("$$\nx\n\n**after**")


def test_boxed_is_a_class_since_browsers_draw_no_menclose() -> None:
    assert '<mrow class="boxed"><mrow><mn>42</mn></mrow></mrow>' in render_markdown("$\\boxed{42}$")


def test_code_has_its_language_a_place_for_the_copy_button_and_classes() -> None:
    html = render_markdown("```python\ndef f():\n    return 1\n```")
    assert html.startswith(
        '<figure class="code"><figcaption><span class="lang">python</span><span class="copy"></span></figcaption>'
        '<pre tabindex="0"><code><span class="hl-k">def </span><span class="hl-f">f</span>'
    )
    assert 'class="hl-n"' in html


def test_code_of_no_known_language_is_plain() -> None:
    assert render_markdown("```nonesuch\n<a>\n```").endswith("<code>&lt;a&gt;\n</code></pre></figure>\n")


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_highlighting_changes_no_character(language: str) -> None:
    assert _lexer(language) is not None
    code = '\n\n  a = "b" # <c> & \'d\'\n\tif (x) { return 1; } // \u00e9 \\n\n<p id="x">y</p>\n  \n'
    html = highlighted(code, language)
    bare = re.sub(r"</?span[^>]*>", "", html)
    assert unescaping.unescape(bare) == code


@pytest.mark.parametrize(
    ("info", "language"),
    [("py title=x", "python"), ("C++", "cpp"), ("{.rust}", "rust"), ("", ""), ("x", ""), ("JS", "javascript")],
)
def test_a_language_is_known_by_its_usual_names(info: str, language: str) -> None:
    assert language_of(info) == language


def test_code_that_would_take_long_is_shown_plain() -> None:
    assert "<span" not in highlighted("x = 1\n" * 10_000, "python")
    assert "<span" not in highlighted("x = 1;" * 500, "python")


def test_tables_scroll_and_are_aligned_by_class() -> None:
    html = render_markdown("|a|b|\n|:-:|--:|\n|1|2|")
    assert html.startswith('<div class="table" tabindex="0"><table>')
    assert '<th class="center" dir="auto">a</th>' in html
    assert '<td class="right" dir="auto">2</td>' in html
    assert "style" not in html


def test_a_table_of_very_many_columns_is_text() -> None:
    assert "<table" not in render_markdown("a|" * 100 + "\n" + "-|" * 100 + "\na\n")


def test_tasks_have_disabled_boxes_with_their_label() -> None:
    done, still_open = re.findall(
        r"<label><input ([^>]*)> (?:done|open)</label>", render_markdown("- [x] done\n- [ ] open")
    )
    assert all('disabled=""' in box and 'type="checkbox"' in box for box in (done, still_open))
    assert ("checked=" in done, "checked=" in still_open) == (True, False)


def test_an_image_within_a_link_is_its_words() -> None:
    html = render_markdown("[![words](https://e.org/i.png)](https://e.org/go)")
    assert html.count("<a ") == 1
    assert '<span class="image">words</span>' in html
    assert "i.png" not in html


def test_newlines_of_all_systems_are_alike() -> None:
    assert render_markdown("a\r\n\r\n- b\r- c") == render_markdown("a\n\n- b\n- c")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("hello", ("", "hello")),
        ("<think>a</think>\n\nb", ("a", "b")),
        ("\n<think>\na\n</think>b", ("a", "b")),
        ("<think>a", ("a", "")),
        ("<think></think>b", ("", "b")),
        ("say <think>a</think>", ("", "say <think>a</think>")),
        ("<th", ("", "<th")),
        ("", ("", "")),
    ],
)
def test_thoughts_are_split_from_the_answer(text: str, parts: tuple[str, str]) -> None:
    assert split_reasoning(text) == parts


def test_while_streaming_both_parts_only_ever_grow() -> None:
    text = "\n<think>\nI see: a < b </b> and </thin>.\n</think>\n\nThe answer."
    thought = answer = ""
    for end in range(len(text) + 1):
        now = split_reasoning(text[:end], streaming=True)
        assert now[0].startswith(thought.rstrip())
        assert now[1].startswith(answer)
        thought, answer = now
        assert "</think" not in thought
    assert (thought, answer) == split_reasoning(text)


def test_plain_text_is_words_on_one_line() -> None:
    assert plain_text("# A *title*\n\n- with [links](https://e.org) and `code`", 80) == "A title with links and code"
    assert plain_text("one two three four", 12) == "one two…"
    assert plain_text("x" * 50, 10) == "x" * 9 + "…"
    assert plain_text("", 10) == ""
    assert plain_text("```\ncode\n```\n\n$$x$$ ![alt](https://e.org/i)", 40) == "code x alt"


def test_the_style_sheet_has_every_class_that_code_can_have_and_enough_contrast() -> None:
    root = Path(__file__).parents[2]
    sheet = (root / "src/commun/web/static/highlight.css").read_text(encoding="utf-8")
    assert set(re.findall(r"^\.(hl-\w+)", sheet, re.MULTILINE)) == CLASS_NAMES
    made = runpy.run_path(str(root / "tools/make_highlight_css.py"))
    assert sheet == made["style_sheet"]()
    assert round(made["contrast"]("#000000", "#ffffff"), 1) == 21.0

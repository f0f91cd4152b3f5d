"""Nothing that a model writes comes out as anything but text, harmless marks and links away (tests/web/xss_corpus.py)."""

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commun.web.maths import MATHML_ATTRIBUTES, MATHML_TAGS, mathml
from commun.web.render import StreamingMarkdown, plain_text, render_markdown
from commun.web.sanitise import CLASSES, TAGS, clean
from web.xss_corpus import CORPUS

# Written out again, so that a list loosened by mistake fails here.
HTML_TAGS = {
    "a", "blockquote", "br", "code", "del", "div", "em", "figcaption", "figure", "h3", "h4", "h5", "h6", "hr", "input", "label", "li",
    "ol", "p", "pre", "s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
HTML_ATTRIBUTES = {
    "a": {"href", "title", "data-src", "target", "rel", "class"}, "code": {"class"}, "div": {"class", "tabindex"}, "figure": {"class"},
    "input": {"type", "disabled", "checked", "class"}, "li": {"class", "dir"}, "ol": {"start", "class"}, "ul": {"class"}, "p": {"dir"},
    "pre": {"tabindex"}, "span": {"class"}, "td": {"class", "dir"}, "th": {"class", "dir"}, "h3": {"dir"}, "h4": {"dir"}, "h5": {"dir"},
    "h6": {"dir"}, "math": {"display", "alttext"},
}  # fmt: skip
VOID = {"br", "hr", "input"}


class Inspector(HTMLParser):
    """Asserts that every tag, attribute and address is one of the lists, and that what opens is closed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        assert tag in HTML_TAGS | set(MATHML_TAGS), tag
        if tag not in VOID:
            self.open.append(tag)
        assert len({name for name, _ in attrs}) == len(attrs)
        for name, value in attrs:
            self.check_attribute(tag, name, value or "")
        values = dict(attrs)
        if tag == "input":
            assert values["type"] == "checkbox"
            assert "disabled" in values
        if tag == "a":
            assert values["rel"] == "noopener noreferrer nofollow"
            assert values["target"] == "_blank"

    def check_attribute(self, tag, name, value):
        if tag in MATHML_TAGS - {"math"}:
            assert name in MATHML_ATTRIBUTES or (tag, name, value) == ("mrow", "class", "boxed"), (tag, name)
            assert not re.search(r"[:()\"'<>]", value), (tag, name, value)
            return
        assert name in HTML_ATTRIBUTES.get(tag, set()), (tag, name)
        if name == "class":
            assert set(value.split()) <= CLASSES[tag], (tag, value)
        if name in {"href", "data-src"}:
            assert re.match(r"(https?://[^/]|mailto:)", value, re.IGNORECASE), value
            assert not re.search(r"[\s<>\"]", value), value
            self.links.append(value)

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_comment(self, data):
        raise AssertionError(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


def inspect(html: str) -> Inspector:
    inspector = Inspector()
    inspector.feed(html)
    inspector.close()
    assert inspector.open == []
    return inspector


def test_the_corpus_is_as_large_as_was_asked() -> None:
    assert len(CORPUS) >= 120
    assert set(TAGS) == HTML_TAGS


@pytest.mark.parametrize("name", CORPUS)
def test_hostile_markdown_comes_out_harmless_and_in_time(name: str) -> None:
    started = time.process_time()
    html = render_markdown(CORPUS[name])
    assert time.process_time() - started < 2.0
    inspect(html)
    plain_text(CORPUS[name], 80)


@pytest.mark.parametrize("name", [name for name in CORPUS if len(CORPUS[name]) < 1_000])
def test_so_it_does_at_every_moment_of_a_stream(name: str) -> None:
    writer = StreamingMarkdown(interval=0)
    frozen = ""
    for character in CORPUS[name]:
        update = writer.feed(character)
        for block in update.frozen:
            inspect(block)
            frozen += block
        inspect(update.tail)
    assert frozen + "".join(writer.finish().frozen) == render_markdown(CORPUS[name])


@pytest.mark.parametrize("name", [name for name in CORPUS if name.startswith("deep")])
def test_a_hostile_stream_stays_within_bounds(name: str) -> None:
    writer = StreamingMarkdown(interval=0)
    text = CORPUS[name][:20_000]
    started = time.process_time()
    for start in range(0, len(text), 500):
        writer.feed(text[start : start + 500])
    writer.finish()
    assert time.process_time() - started < 15.0


@pytest.mark.parametrize("text", CORPUS.values(), ids=CORPUS)
def test_the_last_step_alone_would_hold(text: str) -> None:
    """If the renderer ever let HTML through: nh3's list cleans the corpus as HTML."""
    inspect(clean(text[:2_000]))


@pytest.mark.parametrize("text", [text for text in CORPUS.values() if len(text) < 5_000])
def test_the_converter_of_maths_writes_nothing_but_mathml(text: str) -> None:
    for block in (True, False):
        inspect(mathml(text, block=block))


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="<>/\"'=&;#x:()[]!`$\\{}^_ \nabonjsript", max_size=80))
def test_noise_comes_out_harmless(text: str) -> None:
    inspect(render_markdown(text))
    inspect(render_markdown("$" + text.replace("$", "") + "$"))


def test_images_are_links_that_nobody_follows_alone() -> None:
    html = render_markdown("![a cat](https://e.example/cat.png?q=1&r=2)")
    assert "<img" not in html
    assert inspect(html).links == ["https://e.example/cat.png?q=1&r=2"] * 2
    assert 'class="image"' in html
    assert ">a cat</a>" in html

"""The Markdown that Commun reads: CommonMark with tables, strikethrough, task lists, bare links and maths.

Left out: HTML (shown as text), link reference definitions and footnotes. Those two would let the end of an answer
change its beginning, and a streamed answer is shown before its end is known.

How tokens become HTML:

- headings start at h3: h1 and h2 belong to the page;
- an image is never loaded, since its address could carry the conversation away: it becomes a link that a person may
  follow (``a.image``, address in ``data-src``);
- code is ``figure.code`` with the language and an empty ``span.copy``, which the page's script makes a button;
- a table stands in ``div.table`` that scrolls, its columns aligned by class.
"""

import re
from collections.abc import Sequence
from html import escape
from typing import Any, cast
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, table
from markdown_it.token import Token
from mdit_py_plugins.tasklists import tasklists_plugin

from commun.web.highlight import highlighted, language_of
from commun.web.links import is_allowed_link, link_bare_addresses
from commun.web.maths import maths_plugin

MAX_NESTING = 40  # levels of quotes and lists; a list takes two
MAX_COLUMNS = 60  # of a table
MAX_SHOWN_LANGUAGE = 40  # characters of a fence's info string

_ALIGNMENT = re.compile(r"text-align:(left|center|right)")


def make_markdown() -> MarkdownIt:
    """A parser of the dialect. Stateless between calls: one serves all threads."""
    markdown = MarkdownIt("commonmark", {"html": False, "maxNesting": MAX_NESTING, "xhtmlOut": False})
    markdown.enable(["table", "strikethrough"])
    markdown.block.ruler.at("table", _table, {"alt": ["paragraph", "reference"]})
    markdown.disable(["reference", "html_block", "html_inline"])
    markdown.use(tasklists_plugin, label=True)
    markdown.use(maths_plugin)
    markdown.core.ruler.after("inline", "bare_links", link_bare_addresses)
    markdown.validateLink = is_allowed_link  # type: ignore[method-assign]
    rules = cast("Any", markdown.renderer).rules
    rules["fence"] = rules["code_block"] = _code
    rules["image"] = _image
    rules["heading_open"] = rules["heading_close"] = _heading
    rules["paragraph_open"] = rules["list_item_open"] = _with_direction
    rules["table_open"] = lambda *_: '<div class="table" tabindex="0"><table>\n'
    rules["table_close"] = lambda *_: "</table></div>\n"
    rules["th_open"] = rules["td_open"] = _cell
    return markdown


def _table(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # noqa: FBT001  (markdown-it's signature)
    """Not with very many columns: every short row is filled up to them, 3 kB of text would be a megabyte of HTML."""
    if start + 1 < end and state.src.count("|", state.bMarks[start + 1], state.eMarks[start + 1]) > MAX_COLUMNS:
        return False
    return table(state, start, end, silent)


def code_figure(code: str, info: str, *, still_open: bool = False) -> str:
    """A code block. ``code`` is HTML already; while it is ``still_open`` more may be appended to ``code.open``."""
    shown = info.strip().split(maxsplit=1)[0][:MAX_SHOWN_LANGUAGE] if info.strip() else ""
    opening = '<code class="open">' if still_open else "<code>"
    return (
        f'<figure class="code"><figcaption><span class="lang">{escape(shown)}</span><span class="copy"></span>'
        f'</figcaption><pre tabindex="0">{opening}{code}</code></pre></figure>\n'
    )


def _code(tokens: Sequence[Token], index: int, _options: Any, env: Any) -> str:
    token = tokens[index]
    key = ("code", token.info, token.content)
    cache = env.setdefault("cache", {})
    if key not in cache:
        cache[key] = code_figure(highlighted(token.content, language_of(token.info)), token.info)
    return str(cache[key])


def _image(tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    token = tokens[index]
    source = str(token.attrGet("src") or "")
    shown = escape(plain(token.children or []).strip() or source)
    depth = sum(other.nesting for other in tokens[:index] if other.type in {"link_open", "link_close"})
    if depth or urlsplit(source).scheme not in {"http", "https"}:
        return f'<span class="image">{shown}</span>'
    address = escape(source)
    return f'<a class="image" href="{address}" data-src="{address}">{shown}</a>'


def plain(tokens: Sequence[Token]) -> str:
    """The words of inline tokens, without marks."""
    parts: list[str] = []
    for token in tokens:
        if token.type == "image":
            parts.append(plain(token.children or []))
        elif token.type in {"softbreak", "hardbreak"}:
            parts.append(" ")
        elif token.type != "html_inline":
            parts.append(token.content)
    return "".join(parts)


def _heading(tokens: Sequence[Token], index: int, *_: Any) -> str:
    token = tokens[index]
    level = min(int(token.tag[1]) + 2, 6)
    return f'<h{level} dir="auto">' if token.nesting == 1 else f"</h{level}>\n"


def _with_direction(tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    token = tokens[index]
    if not token.hidden:
        token.attrSet("dir", "auto")
    return str(_renderer.renderToken(tokens, index, options, env))


def _cell(tokens: Sequence[Token], index: int, *_: Any) -> str:
    token = tokens[index]
    aligned = _ALIGNMENT.search(str(token.attrGet("style") or ""))
    return f'<{token.tag} class="{aligned[1]}" dir="auto">' if aligned else f'<{token.tag} dir="auto">'


MARKDOWN = make_markdown()
_renderer: Any = MARKDOWN.renderer

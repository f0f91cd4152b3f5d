r"""LaTeX in answers: where it stands in Markdown (rules for markdown-it) and what it looks like (MathML).

Written as ``$…$``, ``\(…\)``, ``$$…$$``, ``\[…\]`` or ``\begin{align}…\end{align}``. Rules:

- a block of maths is decided by its opening line alone: it ends at its closing mark, at an empty line or with its
  container. So text that comes later never changes what stood before, which streaming needs; an unclosed block is
  shown as the source it is;
- a dollar opens inline maths only if no space follows it, and closes it only if no space stands before it and no letter
  or digit after it: “$5 and $6” stays money;
- only tags and attributes of the lists below are written, and every text is escaped here: latex2mathml passes
  ``\text{<script>}`` through as it is. Links, styles, classes and definitions of macros are not supported.
"""

import re
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, cast
from xml.etree.ElementTree import Element

from latex2mathml.converter import Converter
from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

MAX_LATEX = 4_000  # characters in one formula: 25 ms; longer ones are shown as source
UNCLOSED = "unclosed"  # the info of a block whose end has not come: shown as source, with its opener
MAX_DEPTH = 60  # nesting in the MathML tree; a page-long derivation has about 15

_MATHML_TAGS = """
math mrow mi mn mo ms mtext mspace mfrac msqrt mroot mstyle merror mpadded mphantom msub msup msubsup munder mover
munderover mmultiscripts mprescripts none mtable mtr mtd
"""
MATHML_TAGS = frozenset(_MATHML_TAGS.split())
_MATHML_ATTRIBUTES = """
accent accentunder columnalign columnlines columnspacing columnspan depth dir displaystyle fence form height largeop
linethickness lspace mathsize mathvariant maxsize minsize movablelimits rowalign rowlines rowspacing rowspan rspace
scriptlevel separator stretchy symmetric voffset width
"""
MATHML_ATTRIBUTES = frozenset(_MATHML_ATTRIBUTES.split())
_ENVIRONMENTS = """
align align* aligned alignat alignat* array bmatrix Bmatrix cases dcases displaymath eqnarray eqnarray* equation
equation* gather gather* gathered matrix multline multline* pmatrix smallmatrix split vmatrix Vmatrix
"""
ENVIRONMENTS = frozenset(_ENVIRONMENTS.split())

_MACROS = re.compile(r"\\(?:def|gdef|edef|xdef|let|newcommand|renewcommand|providecommand|require|include)\b")
_REFERENCE = re.compile(r"&#x([0-9A-Fa-f]{1,6});")
_VALUE = re.compile(r"[\w .%+-]{0,64}")
_ENVIRONMENT = re.compile(r"\\begin\{([a-zA-Z]+\*?)\}")
_SINGLE = {"equation": "", "equation*": "", "displaymath": ""}  # environments that only say “displayed”


def mathml(latex: str, *, block: bool) -> str:
    """MathML for ``latex``, or its escaped source where it is unfinished, unknown or too large."""
    source = latex.strip()
    if len(source) <= MAX_LATEX and not _MACROS.search(source):
        try:
            tree = Converter(display="block" if block else "inline").convert_to_element(_without_display(source))
            return "".join(_written(tree, source, 0))
        except Exception:  # noqa: BLE001, S110  (a converter of hostile text: whatever it cannot do is shown as source)
            pass
    return _source(source)


def _source(latex: str) -> str:
    return f'<code class="latex">{escape(latex)}</code>'


def _without_display(source: str) -> str:
    opening = _ENVIRONMENT.match(source)
    if opening and opening[1] in _SINGLE:
        return source[opening.end() :].removesuffix(f"\\end{{{opening[1]}}}")
    return source


def _written(element: Element, source: str, depth: int) -> list[str]:
    if depth > MAX_DEPTH:
        raise RecursionError
    tag = element.tag
    attributes = "".join(
        f' {name}="{escape(value)}"'
        for name, value in element.attrib.items()
        if name in MATHML_ATTRIBUTES and _VALUE.fullmatch(value)
    )
    if tag == "math":
        attributes += f' display="{escape(element.get("display", "inline"))}" alttext="{escape(source)}"'
    elif tag == "menclose":  # not in MathML Core: no browser draws it alike
        tag, attributes = "mrow", ' class="boxed"' if element.get("notation") == "box" else ""
    elif tag not in MATHML_TAGS:
        tag, attributes = "mrow", ""
    parts = [f"<{tag}{attributes}>", _text(element.text)]
    for child in element:
        parts += _written(child, source, depth + 1)
        parts.append(_text(child.tail))
    parts.append(f"</{tag}>")
    return parts


def _text(text: str | None) -> str:
    """The converter writes symbols as references (``&#x2B;``) into its texts; all else is plain text."""
    return escape(_REFERENCE.sub(lambda found: chr(int(found[1], 16)), text), quote=False) if text else ""


def maths_plugin(markdown: MarkdownIt) -> None:
    """Adds the rules; tokens are ``math_inline``, ``math_display`` (in a paragraph) and ``math_block``."""
    markdown.inline.ruler.before("escape", "maths", _inline_rule)
    terminates = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    markdown.block.ruler.before("fence", "maths_block", _block_rule, terminates)  # type: ignore[arg-type]
    for name, tag, block in (
        ("math_inline", "span", False),
        ("math_display", "span", True),
        ("math_block", "div", True),
    ):
        cast("Any", markdown.renderer).rules[name] = _render_rule(name, tag, block=block)


def _render_rule(name: str, tag: str, *, block: bool) -> Callable[..., str]:
    kind = "math-" + name.removeprefix("math_")

    def render(tokens: Sequence[Token], index: int, _options: Any, env: Any) -> str:
        token = tokens[index]
        key = (name, token.info, token.content)
        cache = env.setdefault("cache", {})
        if key not in cache:
            closed = token.info != UNCLOSED
            cache[key] = mathml(token.content, block=block) if closed else _source(token.content)
        end = "\n" if token.block else ""
        return f'<{tag} class="math {kind}">{cache[key]}</{tag}>{end}'

    return render


def _inline_rule(state: StateInline, silent: bool) -> bool:  # noqa: FBT001  (markdown-it's signature)
    source, start = state.src, state.pos
    if source[start] == "$":
        found = _dollars(state)
    elif source.startswith(("\\(", "\\["), start):
        closing = "\\)" if source[start + 1] == "(" else "\\]"
        found = ("math_inline" if closing == "\\)" else "math_display", 2, _find(state, closing, start + 2))
    else:
        return False
    name, width, end = found
    if end < 0 or not source[start + width : end].strip():
        return False
    if not silent:
        token = state.push(name, "math", 0)
        token.content = source[start + width : end]
        token.markup = source[start : start + width]
    state.pos = end + width
    return True


def _dollars(state: StateInline) -> tuple[str, int, int]:
    source, start = state.src, state.pos
    if source.startswith("$$", start):
        return "math_display", 2, _find(state, "$$", start + 2)
    following = source[start + 1 : start + 2]
    if not following or following.isspace() or (start and source[start - 1].isalnum()):
        return "math_inline", 1, -1
    end = start
    while (end := _find(state, "$", end + 1)) >= 0:
        if source[end - 1] == "\\":
            continue
        after = source[end + 1 : end + 2]
        return "math_inline", 1, -1 if source[end - 1].isspace() or after.isalnum() or after == "$" else end
    return "math_inline", 1, -1


def _find(state: StateInline, mark: str, start: int) -> int:
    """Where ``mark`` comes next, or -1. That it comes no more is remembered: a row of openers would cost its square."""
    source, absent = state.env.get("absent", ("", {}))
    if source is not state.src:
        absent = {}
        state.env["absent"] = (state.src, absent)
    if start >= absent.get(mark, len(state.src)):
        return -1
    end = state.src.find(mark, start)
    if end < 0:
        absent[mark] = start
    return end if end < state.posMax else -1


def _opener(line: str) -> tuple[str, int] | None:
    """The closing mark that belongs to a line that opens a block, and the opener's width."""
    if line.startswith("$$") and not line.startswith("$$$"):
        return "$$", 2
    if line.startswith("\\["):
        return "\\]", 2
    found = _ENVIRONMENT.match(line)
    return (f"\\end{{{found[1]}}}", 0) if found and found[1] in ENVIRONMENTS else None


def _block_rule(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # noqa: FBT001
    if state.is_code_block(start):
        return False
    first = state.src[state.bMarks[start] + state.tShift[start] : state.eMarks[start]]
    opener = _opener(first)
    if opener is None:
        return False
    closing, width = opener
    found = first.find(closing, width)
    if found >= 0 and first[found + len(closing) :].strip(" \t.,;"):
        return False  # text goes on after it: a paragraph with maths in it
    if silent:
        return True
    lines, line = [first], start + 1
    while found < 0 and line < end and not state.isEmpty(line) and state.sCount[line] >= state.blkIndent:
        lines.append(state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]])
        found = lines[-1].find(closing)
        line += 1
    content = "\n".join(lines)
    state.line = line
    token = state.push("math_block", "math", 0)
    token.block = True
    token.map = [start, line]
    token.markup = closing
    token.content = content if width == 0 else content[width : content.rfind(closing) if found >= 0 else None]
    if found < 0:
        token.content, token.info = content, UNCLOSED
    return True

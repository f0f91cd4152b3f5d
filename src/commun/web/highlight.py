"""Code in answers: Pygments' tokens as a dozen classes (``highlight.css`` colours them), bounded in size.

Only languages of the list are tried, and for ``BUDGET_S`` at most: many of Pygments' lexers need the square of the
time for a text made to hurt them (20,000 empty lines of C: more than 6 s). What is left then is shown plain.
"""

import re
import time
from functools import cache
from html import escape

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Token
from pygments.util import ClassNotFound

MAX_CODE = 40_000  # characters; larger blocks are shown plain
BUDGET_S = 0.25  # 40,000 characters of ordinary Python take about as long
_HURTFUL = re.compile(r"[^\n]{2000}|\s{400}|(?:\w{1,40}\s+){100}")  # long lines, emptiness, words without a sign

_LANGUAGES = """
ada asm awk bash bat c clojure cmake common-lisp console cpp crystal csharp css cuda dart delphi diff docker elixir
elm erlang fortran fsharp gdscript gherkin glsl go graphql groovy haskell hcl html http ini java javascript json
json5 julia kotlin latex less llvm lua make markdown matlab mysql nasm nginx nim nix objective-c ocaml perl php
plpgsql postgresql powershell prolog properties protobuf pycon python r racket rst ruby rust sass scala scheme scss
solidity sparql sql sqlite3 swift systemverilog tcl terraform tex toml tsx typescript vb.net verilog vhdl vim xml
yaml zig
"""
LANGUAGES = frozenset(_LANGUAGES.split())
ALIASES = {
    "c#": "csharp",
    "c++": "cpp",
    "cs": "csharp",
    "dockerfile": "docker",
    "ex": "elixir",
    "golang": "go",
    "hs": "haskell",
    "js": "javascript",
    "jsonc": "json5",
    "jsx": "javascript",
    "kt": "kotlin",
    "lisp": "common-lisp",
    "makefile": "make",
    "md": "markdown",
    "objc": "objective-c",
    "patch": "diff",
    "pl": "perl",
    "ps1": "powershell",
    "py": "python",
    "python3": "python",
    "rb": "ruby",
    "rs": "rust",
    "sh": "bash",
    "shell": "bash",
    "sqlite": "sqlite3",
    "svg": "xml",
    "ts": "typescript",
    "yml": "yaml",
    "zsh": "bash",
}

# The first match from the token up its parents decides; what is not named here keeps the text's colour.
CLASSES = {
    Token.Comment: "c",
    Token.Comment.Preproc: "p",
    Token.Comment.PreprocFile: "s",
    Token.Keyword: "k",
    Token.Keyword.Type: "t",
    Token.Literal.Number: "n",
    Token.Literal.String: "s",
    Token.Literal.String.Escape: "e",
    Token.Literal.String.Interpol: "e",
    Token.Literal.String.Regex: "e",
    Token.Literal.Date: "n",
    Token.Name.Attribute: "a",
    Token.Name.Builtin: "b",
    Token.Name.Class: "t",
    Token.Name.Constant: "n",
    Token.Name.Decorator: "p",
    Token.Name.Exception: "t",
    Token.Name.Function: "f",
    Token.Name.Namespace: "t",
    Token.Name.Tag: "k",
    Token.Name.Variable: "a",
    Token.Operator.Word: "k",
    Token.Generic.Deleted: "d",
    Token.Generic.Inserted: "i",
    Token.Generic.Heading: "h",
    Token.Generic.Subheading: "h",
    Token.Generic.Prompt: "c",
    Token.Generic.Emph: "s",
    Token.Generic.Strong: "h",
}
CLASS_NAMES = frozenset(f"hl-{name}" for name in CLASSES.values())


def language_of(info: str) -> str:
    """The language of a fence's info string, in one of our names, or ""."""
    name = info.strip().split(maxsplit=1)[0].lower().strip("{}.,:;") if info.strip() else ""
    name = ALIASES.get(name, name)
    return name if name in LANGUAGES else ""


def highlighted(code: str, language: str) -> str:
    """``code`` as safe HTML: escaped text and ``<span class="hl-…">`` only."""
    lexer = _lexer(language) if language else None
    if lexer is None or len(code) > MAX_CODE or _HURTFUL.search(code):
        return escape(code, quote=False)
    parts: list[str] = []
    pending, pending_class, done = "", "", 0
    stop_at = time.monotonic() + BUDGET_S
    for kind, text in lexer.get_tokens(code):
        if time.monotonic() > stop_at:
            break
        done += len(text)
        name = _class_of(kind)
        if name == pending_class or text.isspace():
            pending += text
            continue
        parts.append(_span(pending, pending_class))
        pending, pending_class = text, name
    parts += (_span(pending, pending_class), escape(code[done:], quote=False))
    return "".join(parts)


def _span(text: str, name: str) -> str:
    safe = escape(text, quote=False)
    return f'<span class="hl-{name}">{safe}</span>' if name and text else safe


@cache
def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(language, stripnl=False, stripall=False, ensurenl=False, tabsize=0)
    except ClassNotFound:
        return None


@cache
def _class_of(kind: object) -> str:
    while kind is not None:
        if kind in CLASSES:
            return CLASSES[kind]
        kind = getattr(kind, "parent", None)
    return ""

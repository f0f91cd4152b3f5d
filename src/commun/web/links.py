"""Where a link in an answer may lead, and which bare addresses become links.

- Absolute http, https and mailto only: a relative link would lead into Commun itself.
- A bare address is one that begins with http:// or https://. “main.py” and “example.com” stay words. Closing
  punctuation is not part of it, nor a closing bracket that it did not open. One pass over the text.
"""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from commun.web.sanitise import URL_SCHEMES

MAX_ADDRESS = 2_000  # characters; longer ones stay text

_BARE = re.compile(r"(?<![\w/])https?://[^\s<>\"`{}|\\^\[\]]+", re.IGNORECASE)
_TRAILING = ".,;:!?'*_~…»”’)"


def is_allowed_link(url: str) -> bool:
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return False
    return parts.scheme in URL_SCHEMES and (parts.scheme == "mailto" or bool(parts.netloc))


def link_bare_addresses(state: StateCore) -> None:
    """A core rule, after the inline one."""
    for token in state.tokens:
        if token.type != "inline" or "://" not in token.content:
            continue
        depth = 0
        children: list[Token] = []
        for child in token.children or []:
            depth += child.nesting if child.type in {"link_open", "link_close"} else 0
            if child.type == "text" and not depth and "://" in child.content:
                children += _split(child, state)
            else:
                children.append(child)
        token.children = children


def _split(text: Token, state: StateCore) -> Iterator[Token]:
    content, done = text.content, 0
    for found in _BARE.finditer(content):
        address = _trimmed(found[0])
        url = state.md.normalizeLink(address) if len(address) <= MAX_ADDRESS else ""
        if not is_allowed_link(url):
            continue
        if found.start() > done:
            yield _text(content[done : found.start()], text.level)
        yield Token("link_open", "a", 1, attrs={"href": url}, level=text.level, markup="linkify", info="auto")
        yield _text(address, text.level + 1)
        yield Token("link_close", "a", -1, level=text.level, markup="linkify", info="auto")
        done = found.start() + len(address)
    if done < len(content):
        yield _text(content[done:], text.level)


def _trimmed(address: str) -> str:
    closing = address.count(")") - address.count("(")
    end = len(address)
    while end and address[end - 1] in _TRAILING:
        if address[end - 1] == ")":
            if closing <= 0:
                break
            closing -= 1
        end -= 1
    return address[:end]


def _text(content: str, level: int) -> Token:
    return Token("text", "", 0, content=content, level=level)

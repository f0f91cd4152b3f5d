"""Answers as safe HTML: whole (``render_markdown``) and while they are being written (``StreamingMarkdown``).

A streamed answer comes in blocks. A block is frozen as soon as a complete line begins the next one, and is then never
changed; only the block that is still open, the tail, is rendered again. Whatever the pieces were, the frozen blocks
joined are the same HTML that ``render_markdown`` makes of the whole (tests/web/test_render_stream.py).

Everything returned has gone through ``sanitise.clean``.
"""

from collections.abc import Iterator
from typing import Any

from markdown_it.token import Token

from commun.web.dialect import MARKDOWN, plain
from commun.web.sanitise import clean
from commun.web.streaming import StreamingMarkdown, Update

__all__ = ["StreamingMarkdown", "Update", "plain_text", "render_markdown", "split_reasoning"]

THINK, THINK_END = "<think>", "</think>"
EXCERPT_SOURCE = 16  # times the limit: how much Markdown is read for an excerpt


def render_markdown(text: str) -> str:
    """The whole of ``text`` as safe HTML."""
    env: dict[str, Any] = {}
    tokens = MARKDOWN.parse(text, env)
    return "".join(clean(MARKDOWN.renderer.render(block, MARKDOWN.options, env)) for block in _blocks(tokens))


def _blocks(tokens: list[Token]) -> Iterator[list[Token]]:
    start = 0
    for index, token in enumerate(tokens):
        if token.level == 0 and token.nesting != 1:
            yield tokens[start : index + 1]
            start = index + 1


def split_reasoning(text: str, *, streaming: bool = False) -> tuple[str, str]:
    """What a reasoning model thought, and what it answered: the text in and after ``<think>…</think>``.

    Without the opening mark everything is answer; without the closing one, everything after it is thought. While
    ``streaming``, a mark that is only half there is held back, so that both parts only ever grow.
    """
    body = text.lstrip()
    if not body.startswith(THINK):
        half = streaming and THINK.startswith(body)
        return "", "" if half else text
    thought, mark, answer = body[len(THINK) :].partition(THINK_END)
    if not mark and streaming:
        thought = _without_half(thought, THINK_END)
    return thought.strip() if mark else thought.lstrip(), answer.lstrip()


def _without_half(text: str, mark: str) -> str:
    for length in range(len(mark) - 1, 0, -1):
        if text.endswith(mark[:length]):
            return text[:-length]
    return text


def plain_text(markdown: str, limit: int) -> str:
    """The words of ``markdown`` on one line, at most ``limit`` characters, cut between words: titles, excerpts."""
    parts: list[str] = []
    for token in MARKDOWN.parse(markdown[: limit * EXCERPT_SOURCE], {}):
        if token.type == "inline":
            parts.append(plain(token.children or []))
        elif token.type in {"fence", "code_block", "math_block"}:
            parts.append(token.content)
    words = " ".join(" ".join(parts).split())
    if len(words) <= limit:
        return words
    cut = words[: limit - 1]
    return (cut.rsplit(" ", 1)[0] if " " in cut[limit // 2 :] else cut).rstrip() + "…"

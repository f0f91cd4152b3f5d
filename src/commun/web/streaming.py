"""Markdown that is still being written: what is finished once, what is open again and again, at bounded cost.

Why a finished block stays as it is: Markdown's blocks are decided line by line, the dialect has nothing that reaches
back (``dialect.py``), so a complete line that begins a block closes the one before for good.

Bounds, for an answer of n characters:

- the tail is rendered at most every ``interval`` seconds, and only when it has grown by 1/48 since it was last: at most
  48 times the cost of rendering n, however long one list becomes;
- an open code block is not parsed at all: complete lines are appended, and it is highlighted anew when it has
  grown by 1/4.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

from markdown_it.token import Token

from commun.web.dialect import MARKDOWN, code_figure
from commun.web.highlight import highlighted, language_of
from commun.web.sanitise import clean

INTERVAL_S = 0.1
TAIL_GROWTH = 48
CODE_GROWTH = 4

_NEWLINE = re.compile(r"\r\n?")


@dataclass(frozen=True, slots=True)
class Update:
    """What to do to the page, in this order.

    ``frozen``: HTML of blocks to append before the tail, for good. ``tail``: all that stands in the tail now.
    ``tail_append``: if not None, the tail need not be replaced: this HTML at the end of its ``code.open`` is enough.
    ``changed``: False if there is nothing to do.
    """

    frozen: list[str]
    tail: str
    tail_append: str | None = None
    changed: bool = True


@dataclass(slots=True)
class _OpenCode:
    """A fence at the top level that is not closed yet; its opening line is not in ``lines``."""

    info: str
    indent: int
    closing: re.Pattern[str]
    html: str = ""
    code: str = ""
    highlighted_at: int = 0


class StreamingMarkdown:
    """One answer. ``feed("")`` brings out what was held back by the interval."""

    def __init__(self, *, interval: float = INTERVAL_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval
        self._clock = clock
        self._rendered_at = float("-inf")
        self._text = ""  # of the open block, complete lines and the last one
        self._pending = ""  # not yet looked at
        self._tail = ""
        self._env: dict[str, Any] = {}
        self._code: _OpenCode | None = None

    def feed(self, delta: str) -> Update:
        """Takes more text."""
        self._pending += delta
        grown = len(self._pending)
        now = self._clock()
        if not grown or now - self._rendered_at < self._interval or grown * TAIL_GROWTH < len(self._text):
            return Update([], self._tail, changed=False)
        self._rendered_at = now
        before = self._tail
        self._take(final=False)
        frozen = self._freeze()
        self._tail = clean(MARKDOWN.render(self._text, self._env))
        return Update(frozen, self._tail, changed=bool(frozen) or self._tail != before)

    def finish(self) -> Update:
        """The answer is over: the rest is frozen and the tail is empty."""
        self._take(final=True)
        frozen = self._freeze()
        if self._text:
            frozen.append(clean(MARKDOWN.render(self._text, self._env)))
        self._text = self._tail = ""
        self._env.clear()
        return Update(frozen, "")

    def _take(self, *, final: bool) -> None:
        """Moves what is pending into the text, with newlines as one character; a last \\r may yet become \\r\\n."""
        held = "\r" if self._pending.endswith("\r") and not final else ""
        self._text += _NEWLINE.sub("\n", self._pending[: len(self._pending) - len(held)])
        self._pending = held

    def _freeze(self) -> list[str]:
        """Cuts the finished blocks off the text and renders them."""
        complete = self._text.rfind("\n") + 1
        tokens: list[Token] = []
        MARKDOWN.block.parse(self._text[:complete], MARKDOWN, {}, tokens)
        starts = [token.map[0] for token in tokens if token.level == 0 and token.nesting >= 0 and token.map]
        if len(starts) < 2:  # noqa: PLR2004
            return []
        lines = self._text.split("\n")
        ends = [*starts[1:], len(lines)]
        blocks = ["\n".join(lines[start:end]) for start, end in zip(starts, ends, strict=True)]
        self._text = blocks.pop()
        return [clean(MARKDOWN.render(block + "\n", self._env)) for block in blocks]

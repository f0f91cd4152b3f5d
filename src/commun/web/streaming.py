"""Markdown that is still being written: what is finished once, what is open again and again, at bounded cost.

Why a finished block stays as it is: Markdown's blocks are decided line by line, the dialect has nothing that reaches
back (``dialect.py``), so a complete line that begins a block closes the one before for good.

Bounds, for an answer of n characters:

- the tail is rendered at most every ``interval`` seconds, for at most a fifth of the time (a slow rendering is followed
  by a long pause), and only when it has grown by 1/48: at most 48 times the cost of rendering n, however long one list
  becomes;
- an open code block is not parsed at all: complete lines are appended, and it is highlighted anew when it has
  grown by 1/4.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

from markdown_it.token import Token

from commun.web.dialect import MARKDOWN, code_figure
from commun.web.highlight import highlighted, language_of
from commun.web.sanitise import clean

INTERVAL_S = 0.1
REST = 4  # times the duration of a rendering pass before the next
TAIL_GROWTH = 48
CODE_GROWTH = 8

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
    """A fence at the top level that is not closed yet. Positions are in the text, which begins with the fence."""

    info: str
    marker: str
    indent: int
    closing: re.Pattern[str]
    begins: int  # after the opening line
    looked_to: int  # complete lines before this are no closing line
    shown: str = ""
    html: str = ""
    highlighted: int = 0  # characters of ``shown`` that were highlighted when they were last

    def is_closed(self, text: str) -> bool:
        """Whether a line that is complete now closes it. Each line is looked at once."""
        complete = text.rfind("\n") + 1
        if complete <= self.looked_to:
            return False
        lines = text[self.looked_to : complete].split("\n")
        self.looked_to = complete
        return any(self.closing.fullmatch(line) for line in lines)

    def show(self, text: str) -> str | None:
        """Takes the text of now. Returns the HTML to append to what is shown, or None if all of it is new."""
        complete = text.rfind("\n") + 1
        last = text[complete:]
        may_close = not last.strip() or last.lstrip().startswith(self.marker)
        code = text[self.begins : complete if may_close or self.indent else None]
        if self.indent:
            code = re.sub(rf"(?m)^ {{1,{self.indent}}}", "", code)
        added, self.shown = code[len(self.shown) :], code
        if (len(code) - self.highlighted) * CODE_GROWTH >= self.highlighted:
            self.highlighted = len(code)
            self.html = highlighted(code, language_of(self.info))
            return None
        more = escape(added, quote=False)
        self.html += more
        return more


class StreamingMarkdown:
    """One answer. ``feed("")`` brings out what was held back by the interval."""

    def __init__(self, *, interval: float = INTERVAL_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval
        self._clock = clock
        self._resting_until = float("-inf")
        self._text = ""  # of the open block: complete lines, then the one being written
        self._pending = ""  # not yet looked at
        self._tail = ""
        self._env: dict[str, Any] = {}
        self._code: _OpenCode | None = None

    def feed(self, delta: str) -> Update:
        """Takes more text."""
        self._pending += delta
        grown = len(self._pending)
        started = self._clock()
        too_little = self._code is None and grown * TAIL_GROWTH < len(self._text)
        if not grown or started < self._resting_until or too_little:
            return Update([], self._tail, changed=False)
        self._take(final=False)
        before = self._tail
        append = None
        frozen: list[str] = []
        if self._code is None or self._code.is_closed(self._text):
            frozen, self._code = self._freeze()
        if self._code is None:
            self._tail = self._rendered(self._text)
        else:
            fresh = not self._code.html
            append = self._code.show(self._text)
            append = None if fresh or frozen else append
            self._tail = code_figure(self._code.html, self._code.info, still_open=True)
        if self._interval:
            ended = self._clock()
            self._resting_until = started + max(self._interval, (ended - started) * (REST + 1))
        return Update(frozen, self._tail, append, changed=bool(frozen) or self._tail != before)

    def finish(self) -> Update:
        """The answer is over: the rest is frozen and the tail is empty."""
        self._take(final=True)
        frozen, _ = self._freeze()
        if rest := self._rendered(self._text):
            frozen.append(rest)
        self._text = self._tail = ""
        self._env.clear()
        return Update(frozen, "")

    def _take(self, *, final: bool) -> None:
        r"""Moves what is pending into the text, each newline one character. A last \r may yet become \r\n."""
        held = "\r" if self._pending.endswith("\r") and not final else ""
        self._text += _NEWLINE.sub("\n", self._pending[: len(self._pending) - len(held)])
        self._pending = held

    def _freeze(self) -> tuple[list[str], _OpenCode | None]:
        """Cuts the finished blocks off the text and renders them; tells whether the open one is a fence."""
        complete = self._text.rfind("\n") + 1
        tokens: list[Token] = []
        MARKDOWN.block.parse(self._text[:complete], MARKDOWN, {}, tokens)
        blocks = [token for token in tokens if token.level == 0 and token.nesting >= 0 and token.map]
        if not blocks:
            return [], None
        starts = [token.map[0] for token in blocks if token.map]
        lines = self._text.split("\n")
        frozen = [self._rendered("\n".join(lines[start:end]) + "\n") for start, end in pairwise(starts)]
        if frozen:
            self._text = "\n".join(lines[starts[-1] :])
            self._env.clear()
        return frozen, _open_code(blocks[-1], self._text)

    def _rendered(self, text: str) -> str:
        return clean(MARKDOWN.render(text, self._env))


def _open_code(block: Token, text: str) -> _OpenCode | None:
    """What is known of ``block``, with which ``text`` begins, if it is a fence that nothing has closed."""
    if block.type != "fence":
        return None
    begins = len(text) - len(text.lstrip("\n"))
    begins = text.index("\n", begins) + 1
    marker = re.escape(block.markup[0])
    code = _OpenCode(
        info=block.info,
        marker=block.markup[0],
        indent=len(text.lstrip("\n")) - len(text.lstrip("\n").lstrip(" ")),
        closing=re.compile(rf" {{0,3}}{marker}{{{len(block.markup)},}}[ \t]*"),
        begins=begins,
        looked_to=begins,
    )
    return None if code.is_closed(text) else code

"""From token ids to text, a token at a time, without ever splitting a character or showing a stop string.

- a token is its bytes, from a table made once from the model's vocabulary; text is those bytes joined, read as UTF-8;
- special tokens (end of text, roles) have no text;
- a character is given out when its last byte is there; bytes that are no UTF-8 become U+FFFD, an unfinished character
  at the end too;
- text that may be the beginning of a stop string is held back until it is known not to be; the text ends before the
  first stop string.
"""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass

_utf8 = codecs.getincrementaldecoder("utf-8")


@dataclass(frozen=True, slots=True)
class TokenTable:
    """``pieces``: the bytes of each token id; special tokens: their name. ``special``: their ids. ``strip_first``:
    sentencepiece models write a space before the first word, which is not part of the text.
    """

    pieces: tuple[bytes, ...]
    special: frozenset[int]
    strip_first: bool = False

    def text_pieces(self) -> list[bytes]:
        """As ``pieces``, but special tokens are empty."""
        return [b"" if token in self.special else piece for token, piece in enumerate(self.pieces)]


class TextStream:
    """The text of one answer. ``stopped`` is True once a stop string was met; nothing comes after it."""

    __slots__ = ("_decoder", "_first", "_held", "_pieces", "_stops", "stopped")

    def __init__(self, pieces: Sequence[bytes], stops: Sequence[str] = (), *, strip_first: bool = False) -> None:
        self.stopped = False
        self._pieces = pieces
        self._stops = tuple(stop for stop in stops if stop)
        self._decoder = _utf8("replace")
        self._first = strip_first
        self._held = ""

    def push(self, token_ids: Sequence[int]) -> str:
        """The text that these tokens bring out; may be empty."""
        if len(token_ids) == 1:
            raw = self._pieces[token_ids[0]]
        else:
            raw = b"".join([self._pieces[token] for token in token_ids])
        return self.push_text(self._decoder.decode(raw))

    def push_text(self, text: str) -> str:
        """As ``push``, for an engine that tells text itself."""
        if self._first and text:
            self._first = False
            text = text.removeprefix(" ")
        if not self._stops:
            return text
        return "" if self.stopped else self._before_stop(self._held + text)

    def finish(self) -> str:
        """What was still held back; call it once, after the last token."""
        rest = self._decoder.decode(b"", final=True)
        if not self._stops:
            return rest
        if self.stopped:
            return ""
        text = self._before_stop(self._held + rest) + self._held
        self._held = ""
        return text

    def _before_stop(self, text: str) -> str:
        starts = [start for start in (text.find(stop) for stop in self._stops) if start >= 0]
        if starts:
            self.stopped = True
            self._held = ""
            return text[: min(starts)]
        keep = max(beginning_at_end(text, stop) for stop in self._stops)
        cut = len(text) - keep
        self._held = text[cut:]
        return text[:cut]


def beginning_at_end(text: str, stop: str) -> int:
    """Length of the longest proper beginning of ``stop`` that ``text`` ends with."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0

"""What an OpenAI-compatible server sends, read as what it is: a stranger's bytes.

Two readers, both pure (no network, no clock):

- ``EventReader``: bytes of a server-sent event stream to JSON objects. Lines, events and the whole stream are bounded.
- ``AnswerReader``: those objects to ``Delta`` and ``Finish``. Texts are whole characters, numbers are checked.

Both raise ``WireError`` only, with a reason that never repeats what the server sent.
Sources: WHATWG HTML §9.2 (event streams); OpenAI's API reference (chat and completion chunks); vLLM's
``return_token_ids`` and ``reasoning`` extensions.
"""

import json
import math
from collections.abc import Iterator
from typing import Any, NoReturn

from commun.engine.base import Delta, FinishReason

MAX_LINE = 1 << 20  # bytes of one line of a stream; a token with its log-probability needs some hundred
WIRE_BYTES_PER_TOKEN = 16 << 10  # bytes of stream that one token may cost, with top log-probabilities and ids
WIRE_BYTES_BASE = 1 << 20  # and what a stream may cost besides its tokens
TEXT_BYTES_PER_TOKEN = 1024  # the longest entries of known vocabularies are runs of 128 to 256 spaces
MAX_COUNT = 1 << 31  # no honest token count or id is above

FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "length": FinishReason.LENGTH,
}


class WireError(Exception):
    """The server broke the protocol or a bound. The reason is ours, never the server's words."""


def parse_object(data: bytes | bytearray | str) -> dict[str, Any]:
    """One JSON object. Refuses NaN and infinities, too deep nesting, invalid UTF-8 and anything but an object."""
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise WireError("not JSON") from error
    if not isinstance(value, dict):
        raise WireError("not a JSON object")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


class EventReader:
    """Splits a stream into events; holds at most one unfinished line and one unfinished event."""

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._tail = b""
        self._data: list[bytes] = []
        self._size = 0
        self.done = False  # "[DONE]" was read: nothing after it counts

    def feed(self, chunk: bytes) -> Iterator[dict[str, Any]]:
        """The objects that end in ``chunk``. Raises WireError when a bound is passed."""
        self._left -= len(chunk)
        if self._left < 0:
            raise WireError("the answer is longer than any honest one")
        lines = (self._tail + chunk).split(b"\n")
        self._tail = lines.pop()
        if len(self._tail) > MAX_LINE:
            raise WireError("a line is too long")
        for raw in lines:
            line = raw.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self._take(line[5:].removeprefix(b" "))
            elif not line and self._data:
                yield from self._event()
            if self.done:
                return

    def close(self) -> Iterator[dict[str, Any]]:
        """The last event, when the stream ended without the empty line that should follow it."""
        if not self.done:
            yield from self.feed(b"\n\n")

    def _take(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > MAX_LINE:
            raise WireError("an event is too long")
        self._data.append(data)

    def _event(self) -> Iterator[dict[str, Any]]:
        data = b"\n".join(self._data)
        self._data = []
        self._size = 0
        if data.strip() == b"[DONE]":
            self.done = True
        else:
            yield parse_object(data)


class AnswerReader:
    """Takes the chunks of one answer, in order; ``finished`` and the counts are known at the end.

    ``prompt_tokens`` and ``completion_tokens`` are None when the server did not tell. ``vocabulary`` learns which
    bytes a token id stands for wherever the server tells both; it is the engine's, shared by all answers.
    """

    def __init__(self, max_tokens: int, vocabulary: dict[int, bytes]) -> None:
        self.finished: FinishReason | None = None
        self.prompt_tokens: int | None = None
        self.completion_tokens: int | None = None
        self.chunks = 0  # that carried text: the count of tokens where the server tells none
        self._room = max_tokens * TEXT_BYTES_PER_TOKEN
        self._tokens_left = max_tokens + 1  # the end-of-text token is counted by some servers
        self._vocabulary = vocabulary
        self._high = ""  # first half of a surrogate pair that a server cut in two
        self._thinking = False

    def take(self, chunks: list[dict[str, Any]]) -> Delta | None:
        """All that ``chunks`` add to the answer, as one delta; None when they add nothing."""
        ids: list[int] = []
        logprobs: list[float] = []
        texts: list[str] = []
        for chunk in chunks:
            if "error" in chunk:
                raise WireError("the server told of an error in the middle of the answer")
            if chunk.get("usage") is not None:
                self._usage(chunk["usage"])
            choice = self._choice(chunk)
            if choice is None:
                continue
            text = self._text(choice)
            if text:
                self.chunks += 1
                texts.append(text)
            self._tokens(choice, ids, logprobs)
            self._finish(choice.get("finish_reason"))
        text = self._whole("".join(texts))
        if not text and not ids:
            return None
        self._room -= len(text.encode())
        self._tokens_left -= len(ids)
        if self._room < 0 or self._tokens_left < 0:
            raise WireError("the answer is longer than was asked for")
        return Delta(tuple(ids), text, tuple(logprobs) if len(logprobs) == len(ids) else ())

    def rest(self) -> Delta | None:
        """What was held back: the end of the thinking, half a character."""
        text = ("\ufffd" if self._high else "") + ("</think>" if self._thinking else "")
        self._high, self._thinking = "", False
        return Delta((), text, ()) if text else None

    def _choice(self, chunk: dict[str, Any]) -> dict[str, Any] | None:
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            raise WireError("a chunk without choices")
        if not choices:
            return None
        if len(choices) != 1 or not isinstance(choices[0], dict):
            raise WireError("more choices than were asked for")
        return choices[0]

    def _text(self, choice: dict[str, Any]) -> str:
        """Chat: ``delta.content``, and thinking in its tags; completion: ``text``."""
        delta = choice.get("delta", choice)
        if not isinstance(delta, dict):
            raise WireError("a delta that is no object")
        thought = _string(delta.get("reasoning_content") or delta.get("reasoning"))
        text = _string(delta.get("content") if delta is not choice else delta.get("text"))
        if thought and not self._thinking:
            self._thinking = True
            thought = "<think>" + thought
        if text and self._thinking:
            self._thinking = False
            text = "</think>" + text
        return thought + text

    def _whole(self, text: str) -> str:
        """``text`` as whole characters: a pair of surrogates cut in two is joined, a lone one replaced."""
        if not self._high and text.isascii():
            return text
        text = self._high + text
        self._high = ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._high = text[-1]
            text = text[:-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _tokens(self, choice: dict[str, Any], ids: list[int], logprobs: list[float]) -> None:
        told = choice.get("token_ids")
        if told is None:
            return
        if not isinstance(told, list):
            raise WireError("token ids that are no list")
        fresh = [_count(token) for token in told]
        ids.extend(fresh)
        told = choice.get("logprobs")
        if not isinstance(told, dict):
            return
        content = told.get("content")
        if isinstance(content, list) and len(content) == len(fresh):  # chat
            for token, entry in zip(fresh, content, strict=True):
                if not isinstance(entry, dict):
                    raise WireError("a log-probability that is no object")
                logprobs.append(_logprob(entry.get("logprob")))
                self._learn(token, entry)
        elif isinstance(told.get("token_logprobs"), list):  # completion
            logprobs.extend(_logprob(value) for value in told["token_logprobs"])

    def _learn(self, token: int, entry: dict[str, Any]) -> None:
        if token in self._vocabulary:
            return
        told = entry.get("bytes")
        if isinstance(told, list) and len(told) <= TEXT_BYTES_PER_TOKEN:
            if all(type(byte) is int and 0 <= byte <= 255 for byte in told):  # noqa: PLR2004  (a byte)
                self._vocabulary[token] = bytes(told)
        elif isinstance(entry.get("token"), str):
            self._vocabulary[token] = entry["token"].encode("utf-8", "replace")[:TEXT_BYTES_PER_TOKEN]

    def _finish(self, reason: Any) -> None:
        if reason is None:
            return
        if not isinstance(reason, str) or reason not in FINISH_REASONS:
            raise WireError("the answer ended for a reason that Commun does not know")
        self.finished = FINISH_REASONS[reason]

    def _usage(self, usage: Any) -> None:
        if not isinstance(usage, dict):
            raise WireError("a usage that is no object")
        if usage.get("prompt_tokens") is not None:
            self.prompt_tokens = _count(usage["prompt_tokens"])
        if usage.get("completion_tokens") is not None:
            self.completion_tokens = _count(usage["completion_tokens"])


def _string(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise WireError("a text that is no string")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < MAX_COUNT:
        raise WireError("a number out of bounds")
    return value


def _logprob(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise WireError("a log-probability that is no number")
    return float(value)

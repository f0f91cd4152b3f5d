"""The bytes of ``/v1/completions`` in OpenAI's older shape, with its four parallel lists of log-probabilities."""

import codecs
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii as json_text
from typing import Any

from commun.api.edition import fingerprint
from commun.api.wire import ChatChunks, TokenBytes, encoded, finish_word, finite, new_id, usage
from commun.assistant.engines import Terms
from commun.assistant.turn import Answer
from commun.engine.base import Score
from commun.receipts.issue import Receipt

UTF8 = codecs.getincrementaldecoder("utf-8")


@dataclass(slots=True)
class TokenLists:
    """Grows token by token. ``offset``: characters of text before the next token."""

    token_bytes: TokenBytes
    most_likely: bool
    offset: int = 0
    lists: dict[str, list[Any]] = field(default_factory=dict)
    _decoder: codecs.IncrementalDecoder = field(default_factory=lambda: UTF8("replace"))

    def __post_init__(self) -> None:
        self.fresh()

    def fresh(self) -> dict[str, Any]:
        """What has been added since the last call."""
        taken: dict[str, Any] = dict(self.lists)
        self.lists = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        if taken and not self.most_likely:
            taken["top_logprobs"] = None
        return taken

    def add(self, token_id: int, logprob: float | None, top: tuple[int, float] | None = None) -> None:
        """``top``: the most likely token of this place, where it is known to be another."""
        raw = self.token_bytes(token_id)
        self.lists["tokens"].append(shown(raw))
        self.lists["token_logprobs"].append(None if logprob is None else finite(logprob))
        self.lists["text_offset"].append(self.offset)
        likely = None
        if logprob is not None:
            likely = {shown(raw): finite(logprob)}
            if top is not None:
                likely[shown(self.token_bytes(top[0]))] = finite(top[1])
        self.lists["top_logprobs"].append(likely)
        self.offset += len(self._decoder.decode(raw))

    def add_scored(self, token_ids: Sequence[int], scores: Sequence[Score]) -> None:
        """``token_ids``: all of them; ``scores``: of all but the first."""
        self.add(token_ids[0], None)
        for score in scores:
            same = score.top_id == score.token_id
            self.add(score.token_id, score.logprob, None if same else (score.top_id, score.top_logprob))


def shown(raw: bytes) -> str:
    r"""A token as text; a part of a character as OpenAI writes it, ``bytes:\xc3``."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)


@dataclass(frozen=True, slots=True)
class Continued:
    """One prompt and what became of it. ``answer`` and ``receipt`` are None when only a score was asked for.
    ``scores``: of prompt and answer, where they were computed.
    """

    answer: Answer | None
    receipt: Receipt | None
    prompt_ids: tuple[int, ...]
    echo: str
    echoed: bool
    scores: list[Score] | None
    token_bytes: TokenBytes | None
    most_likely: bool

    def choice(self, index: int) -> dict[str, Any]:
        answer = self.answer
        return {
            "index": index,
            "text": self.echo + (answer.text if answer else ""),
            "logprobs": self._logprobs(),
            "finish_reason": finish_word(answer.finish_reason) if answer else "length",
        }

    @property
    def prompt_tokens(self) -> int:
        return self.answer.prompt_tokens if self.answer else len(self.prompt_ids)

    @property
    def completion_tokens(self) -> int:
        return self.answer.completion_tokens if self.answer else 0

    def _logprobs(self) -> dict[str, Any] | None:
        if self.token_bytes is None:
            return None
        lists = TokenLists(self.token_bytes, self.most_likely)
        answer_ids = self.answer.token_ids if self.answer else ()
        if self.scores is None:
            for token_id, logprob in zip(answer_ids, self.answer.logprobs if self.answer else (), strict=True):
                lists.add(token_id, logprob)
            return lists.fresh()
        lists.add_scored((*self.prompt_ids, *answer_ids), self.scores)
        if self.echoed:
            return lists.fresh()
        skipped = len(self.prompt_ids)
        start = lists.lists["text_offset"][skipped] if answer_ids else 0
        for name, values in lists.lists.items():
            lists.lists[name] = values[skipped:]
        lists.lists["text_offset"] = [offset - start for offset in lists.lists["text_offset"]]
        return lists.fresh()


def text_completion(
    continued: Sequence[Continued], terms: Terms, *, seed: int | None, receipts: Sequence[dict[str, Any]]
) -> bytes:
    """The whole answer: one choice per prompt. ``receipts``: what is told of each, none where nothing was written."""
    return encoded(
        {
            "id": new_id("cmpl"),
            "object": "text_completion",
            "created": int(time.time()),
            "model": terms.info.model,
            "system_fingerprint": fingerprint(terms.in_force),
            "choices": [each.choice(index) for index, each in enumerate(continued)],
            "usage": usage(
                sum(each.prompt_tokens for each in continued), sum(each.completion_tokens for each in continued)
            ),
            "commun": {"seed": seed, "edition": terms.in_force.edition.number, "receipts": receipts},
        }
    )


class TextChunks(ChatChunks):
    """The events of one streamed continuation."""

    media = "text_completion"
    kind = "cmpl"

    def __init__(
        self,
        terms: Terms,
        *,
        wants_usage: bool,
        token_bytes: TokenBytes | None,
        most_likely: bool,
        echo: str,
    ) -> None:
        super().__init__(terms, wants_usage=wants_usage, token_bytes=None)
        self._echo = echo
        self._lists = TokenLists(token_bytes, most_likely, offset=len(echo)) if token_bytes else None
        self._before = self._head + '"choices":[{"index":0,"text":'

    def first(self, dropped_messages: int) -> bytes:
        del dropped_messages  # a prompt is never cut
        return self._chunk(self._echo, "null") if self._echo else b""

    def delta(self, text: str, ids: Sequence[int], logprobs: Sequence[float]) -> bytes:
        if self._lists is None:
            return self._chunk(text, "null") if text else b""
        for token_id, logprob in zip(ids, logprobs, strict=True):
            self._lists.add(token_id, logprob)
        return self._chunk(text, json.dumps(self._lists.fresh()))

    def _chunk(self, text: str, logprobs: str) -> bytes:
        return (
            f'{self._before}{json_text(text)},"logprobs":{logprobs},"finish_reason":null}}]{self._usage}}}\n\n'
        ).encode()

    def extension(self, answer: Answer, receipt: dict[str, Any]) -> dict[str, Any]:
        return {"seed": answer.sampling.seed, "edition": answer.edition, "receipts": [receipt]}

    def ending(self, reason: str) -> str:
        return f'"choices":[{{"index":0,"text":"","logprobs":null,"finish_reason":"{reason}"}}]'

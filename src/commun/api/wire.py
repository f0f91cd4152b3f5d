"""The bytes of an answer in OpenAI's shapes: whole, and as server-sent events.

A streamed chunk is one concatenation: what does not change within a stream is encoded once, when the stream begins.
Pydantic is for what comes in (``requests.py``); what goes out is written here and checked in the tests.
"""

import json
import secrets
import time
from collections.abc import Callable, Sequence
from json.encoder import encode_basestring_ascii as json_text
from typing import Any

from commun.api.edition import fingerprint
from commun.assistant.engines import Terms
from commun.assistant.turn import Answer

DONE = b"data: [DONE]\n\n"
LEAST_LOGPROB = -9999.0  # OpenAI's word for "minus infinity", which JSON cannot say
TokenBytes = Callable[[int], bytes]


def new_id(kind: str) -> str:
    return f"{kind}-{secrets.token_urlsafe(15)}"


def finish_word(reason: str) -> str:
    return "length" if reason == "length" else "stop"


def usage(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }


def finite(logprob: float) -> float:
    return max(logprob, LEAST_LOGPROB)


def chat_logprobs(ids: Sequence[int], logprobs: Sequence[float], token_bytes: TokenBytes) -> list[dict[str, Any]]:
    """One entry per token. ``token`` shows a part of a character as U+FFFD; ``bytes`` is exact."""
    entries = []
    for token_id, logprob in zip(ids, logprobs, strict=True):
        raw = token_bytes(token_id)
        entries.append(
            {
                "token": raw.decode(errors="replace"),
                "bytes": list(raw),
                "logprob": finite(logprob),
                "top_logprobs": [],
            }
        )
    return entries


def extension(answer: Answer) -> dict[str, Any]:
    """Commun's own field: the seed that was used, the edition, who answered in which language, and, when the
    conversation was cut, by how many messages.
    """
    told: dict[str, Any] = {
        "seed": answer.sampling.seed,
        "edition": answer.edition,
        "persona": answer.persona,
        "language": answer.language,
    }
    if answer.dropped_messages:
        told["dropped_messages"] = answer.dropped_messages
    return told


def chat_completion(answer: Answer, terms: Terms, token_bytes: TokenBytes | None, receipt: dict[str, Any]) -> bytes:
    """The whole answer; with log-probabilities where ``token_bytes`` is given. ``receipt``: what is told of it."""
    logprobs = None
    if token_bytes is not None:
        logprobs = {"content": chat_logprobs(answer.token_ids, answer.logprobs, token_bytes), "refusal": None}
    message = {"role": "assistant", "content": answer.text, "refusal": None}
    return encoded(
        {
            "id": new_id("chatcmpl"),
            "object": "chat.completion",
            "created": int(time.time()),
            "model": terms.info.model,
            "system_fingerprint": fingerprint(terms.in_force),
            "choices": [
                {
                    "index": 0,
                    "message": message,
                    "logprobs": logprobs,
                    "finish_reason": finish_word(answer.finish_reason),
                }
            ],
            "usage": usage(answer.prompt_tokens, answer.completion_tokens),
            "commun": extension(answer) | {"receipt": receipt},
        }
    )


def encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


class ChatChunks:
    """The events of one streamed chat answer."""

    media = "chat.completion.chunk"
    kind = "chatcmpl"

    def __init__(self, terms: Terms, *, wants_usage: bool, token_bytes: TokenBytes | None) -> None:
        head = {
            "id": new_id(self.kind),
            "object": self.media,
            "created": int(time.time()),
            "model": terms.info.model,
            "system_fingerprint": fingerprint(terms.in_force),
        }
        self._head = "data: " + json.dumps(head, separators=(",", ":"))[:-1] + ","
        self._usage = ',"usage":null' if wants_usage else ""
        self._wants_usage = wants_usage
        self._token_bytes = token_bytes
        self._before = self._head + '"choices":[{"index":0,"delta":{"content":'
        self._after = '},"logprobs":null,"finish_reason":null}]' + self._usage + "}\n\n"

    def first(self, dropped_messages: int) -> bytes:
        """The role, and how many messages were left out of the prompt, if any."""
        told = f',"commun":{{"dropped_messages":{dropped_messages}}}' if dropped_messages else ""
        return (
            f'{self._head}"choices":[{{"index":0,"delta":{{"role":"assistant","content":"","refusal":null}},'
            f'"logprobs":null,"finish_reason":null}}]{self._usage}{told}}}\n\n'
        ).encode()

    def delta(self, text: str, ids: Sequence[int], logprobs: Sequence[float]) -> bytes:
        """New text; nothing when there is nothing to tell."""
        if self._token_bytes is None:
            return (self._before + json_text(text) + self._after).encode() if text else b""
        told = json.dumps({"content": chat_logprobs(ids, logprobs, self._token_bytes), "refusal": None})
        return (
            f'{self._before}{json_text(text)}}},"logprobs":{told},"finish_reason":null}}]{self._usage}}}\n\n'
        ).encode()

    def extension(self, answer: Answer, receipt: dict[str, Any]) -> dict[str, Any]:
        return extension(answer) | {"receipt": receipt}

    def last(self, answer: Answer, receipt: dict[str, Any]) -> bytes:
        """Why it ended, its receipt, what it cost if asked, and the end of the stream."""
        told = json.dumps(self.extension(answer, receipt), separators=(",", ":"))
        end = f'{self._head}{self.ending(finish_word(answer.finish_reason))}{self._usage},"commun":{told}}}\n\n'
        if self._wants_usage:
            cost = json.dumps(usage(answer.prompt_tokens, answer.completion_tokens), separators=(",", ":"))
            end += f'{self._head}"choices":[],"usage":{cost}}}\n\n'
        return end.encode() + DONE

    def ending(self, reason: str) -> str:
        """The choice that says why it ended."""
        return f'"choices":[{{"index":0,"delta":{{}},"logprobs":null,"finish_reason":"{reason}"}}]'

"""What a remote engine is asked: the body of each request, and how long a prompt may be where nobody counts its tokens.

A chat goes to ``/chat/completions`` as messages (the server applies the model's template), a plain text or token ids to
``/completions``.
"""

import json
from collections.abc import Sequence
from typing import Any

from commun.engine.base import Message, Prompt, Sampling

TEMPLATE_TOKENS = 8  # per message: what chat templates put around it

_FREQUENT = bytes(range(65, 91)) + bytes(range(97, 123)) + b" \n"  # two or more of these share a token


def request_of(model: str, prompt: Prompt, sampling: Sampling, *, tells_ids: bool) -> tuple[str, dict[str, Any]]:
    """The path and the body that ask for an answer. ``tells_ids``: the server can tell token ids (vLLM)."""
    body: dict[str, Any] = {
        "model": model,
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed,
    }
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.ignore_eos:
        body["ignore_eos"] = True
    if sampling.json_schema is not None:
        body["response_format"] = _response_format(sampling.json_schema)
    if tells_ids:
        body["return_token_ids"] = True
    if prompt.messages:
        body["messages"] = _as_json(prompt.messages)
        if tells_ids:
            body["logprobs"] = True
        return "/chat/completions", body
    body["prompt"] = list(prompt.token_ids) if prompt.token_ids is not None else prompt.text or ""
    if tells_ids:
        body["logprobs"] = 1
    return "/completions", body


def counting_of(model: str, prompt: Prompt) -> dict[str, Any]:
    """The body that asks vLLM's ``/tokenize`` for the prompt's length."""
    if prompt.messages:
        return {"model": model, "messages": _as_json(prompt.messages), "add_generation_prompt": True}
    return {"model": model, "prompt": prompt.text or ""}


def estimated_tokens(prompt: Prompt) -> int:
    """At least as many tokens as any byte-level vocabulary makes of a text that people wrote: one for two ASCII
    letters, spaces or line ends, one for each byte of anything else (digits, signs, other alphabets).
    """
    if prompt.token_ids is not None:
        return len(prompt.token_ids)
    texts = [message.content for message in prompt.messages] or [prompt.text or ""]
    total = TEMPLATE_TOKENS * (len(texts) + 1)
    for text in texts:
        data = text.encode("utf-8", "replace")
        rare = len(data.translate(None, _FREQUENT))
        total += rare + (len(data) - rare + 1) // 2
    return total


def _as_json(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _response_format(schema: str) -> dict[str, Any]:
    parsed = json.loads(schema)
    if parsed == {}:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": parsed, "strict": True}}

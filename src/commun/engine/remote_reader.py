"""Asking another server about an answer that is there already: its log-probabilities over prompt and answer (vLLM).

- the prompt's tokens by ``/tokenize`` with the server's own template, where the receipt has none; the answer's text by
  ``/detokenize``; the figures by one ``/completions`` with ``prompt_logprobs``, which generates one token and is thrown
  away. Nothing of the text is sent but what the bundle discloses; whoever names a server shows it the conversation;
- each reply is a stranger's: bounded before it is read (BYTES_PER_TOKEN for each token that was asked about), JSON with
  the fields that vLLM documents, numbers within their bounds. What it says is believed no further: a server that lies
  consistently looks like the model that it plays;
- one thing at a time, no retries; refuses redirects, compressed answers and proxies from the environment.

Raises NotToBeAsked for whatever that server does, CannotAudit for what does not fit its context.
"""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from commun.audit.calibration import Machine
from commun.audit.case import CannotAudit, Case, Why
from commun.audit.listed import MAX_LISTED, Listed, fact_of_listed
from commun.audit.verdict import Recomputed
from commun.engine.logits import Progress
from commun.engine.manifest import Manifest
from commun.engine.wire import MAX_COUNT, WireError, parse_object
from commun.errors import N_, CommunError
from commun.receipts.commitments import TEXT_ROLE

CONNECT_S: Final = 5.0
ANSWER_S: Final = 600.0  # a prefill of MAX_ASKED tokens on a busy machine
BYTES_BASE: Final = 1 << 16
BYTES_PER_TOKEN: Final = 8 << 10  # 1.4 kB with 20 words listed; words are at most some hundred bytes
MAX_ASKED: Final = 1 << 14  # tokens: 128 MiB of reply at most
MAX_VERSION: Final = 64
LEAST_LOGPROB: Final = -1e5  # vLLM writes -9999 for minus infinity
ROUNDING: Final = 1e-3  # by which a log-probability may be above 0, and a sum of probabilities above 1


class NotToBeAsked(CommunError):
    """``details``: ``host``, ``reason``."""

    code = "not_to_be_asked"
    status = 502
    problem = N_("The server at “%(host)s” cannot be asked about this answer: %(reason)s.")
    cure = N_(
        "It must be vLLM, with the model that the receipt names and prompt_logprobs allowed; --remote-model names it."
    )


class RemoteReader:
    """``server``: what it offers (``remote_model.look_up``). ``key``: its API key, or ""."""

    def __init__(self, server: Manifest, key: str = "") -> None:
        self._base = server.url.rstrip("/")
        self._root = self._base.removesuffix("/v1")
        self._model = server.remote_model
        self._context_length = server.context_length
        headers = {"accept-encoding": "identity", "user-agent": "commun"}
        if key:
            headers["authorization"] = f"Bearer {key}"
        self._client = httpx2.Client(
            headers=headers,
            timeout=httpx2.Timeout(ANSWER_S, connect=CONNECT_S),
            follow_redirects=False,
            trust_env=False,
        )
        self._machine: Machine | None = None

    def close(self) -> None:
        self._client.close()

    @property
    def machine(self) -> Machine:
        """As far as it tells: its version. Thread count and processor are its own business."""
        if self._machine is None:
            version = self._ask("GET", f"{self._root}/version", None, BYTES_BASE).get("version")
            if not isinstance(version, str) or not version.isprintable() or not 0 < len(version) <= MAX_VERSION:
                raise self._refused(WireError("it does not tell its version"))
            self._machine = Machine(f"vllm {version}", "remote", "", "")
        return self._machine

    def recompute(self, case: Case, *, progress: Progress) -> Recomputed:
        """All that the server has to say on one answer. ``progress``: tokens of the answer that are done, and all."""
        given = self._prompt_of(case.messages) if case.messages is not None else None
        prompt = case.prompt or given or ()
        if len(prompt) + len(case.answer) >= min(self._context_length, MAX_ASKED):
            raise CannotAudit(Why.TOO_LONG)
        progress(0, len(case.answer))
        text, ends = self._text_of(prompt[-1:], case)
        facts = tuple(
            fact_of_listed(listed, temperature=case.temperature, top_p=case.top_p)
            for listed in self.listed(prompt, case.answer)
        )
        progress(len(facts), len(case.answer))
        shown, stopped = _until_stop(text, case.stop)
        return Recomputed(
            prompt=given if case.prompt else None,
            texts=(shown, shown),
            stopped=len(case.answer) if stopped else None,
            ends=ends,
            facts=facts,
        )

    def listed(self, prompt: Sequence[int], answer: Sequence[int]) -> Iterator[Listed]:
        """For each token of the answer, in order. ``prompt``: one token at least."""
        body = {
            "model": self._model,
            "prompt": [*prompt, *answer],
            "max_tokens": 1,
            "temperature": 0,
            "prompt_logprobs": MAX_LISTED,
        }
        limit = BYTES_BASE + BYTES_PER_TOKEN * (len(prompt) + len(answer))
        try:
            places = _places(self._ask("POST", f"{self._base}/completions", body, limit))
            if len(places) != len(prompt) + len(answer):
                raise WireError("it lists another number of tokens")  # noqa: TRY301  (one way out)
            found = [_listed(token, place) for token, place in zip(answer, places[len(prompt) :], strict=True)]
        except WireError as error:
            raise self._refused(error) from error
        yield from found

    def _prompt_of(self, messages: Sequence[tuple[str, str]]) -> tuple[int, ...]:
        body: dict[str, Any] = {"model": self._model}
        if [role for role, _ in messages] == [TEXT_ROLE]:
            body["prompt"] = messages[0][1]
        else:
            body |= {
                "messages": [{"role": role, "content": content} for role, content in messages],
                "add_generation_prompt": True,
            }
        size = sum(len(content) for _, content in messages)
        told = self._ask("POST", f"{self._root}/tokenize", body, BYTES_BASE + 16 * size).get("tokens")
        if not isinstance(told, list) or not told or not all(map(_is_token, told)):
            raise self._refused(WireError("its tokens are no list of numbers"))
        return tuple(told)

    def _text_of(self, before: tuple[int, ...], case: Case) -> tuple[str, frozenset[int]]:
        """The answer's text, and the token that ended it: the last one, where the text is whole without it. Decoded
        after the prompt's last token, since some vocabularies drop a space at the beginning.
        """
        head, answer = self._decoded(before), case.answer
        whole = self._decoded((*before, *answer)).removeprefix(head)
        if case.statement.finish != "stop" or _until_stop(whole, case.stop)[0] == case.text:
            return whole, frozenset()
        return self._decoded((*before, *answer[:-1])).removeprefix(head), frozenset(answer[-1:])

    def _decoded(self, token_ids: Sequence[int]) -> str:
        body = {"model": self._model, "tokens": list(token_ids)}
        limit = BYTES_BASE + BYTES_PER_TOKEN * len(token_ids)
        text = self._ask("POST", f"{self._root}/detokenize", body, limit).get("prompt")
        if not isinstance(text, str):
            raise self._refused(WireError("a text that is no string"))
        return text

    def _ask(self, method: str, url: str, body: dict[str, Any] | None, limit: int) -> dict[str, Any]:
        """One JSON object. Raises NotToBeAsked."""
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        headers = {} if content is None else {"content-type": "application/json"}
        try:
            with self._client.stream(method, url, content=content, headers=headers) as response:
                if response.status_code != httpx2.codes.OK:
                    raise WireError(f"it answers with status {response.status_code}")  # noqa: TRY301  (one way out)
                if response.headers.get("content-encoding", "identity") != "identity":
                    raise WireError("a compressed answer")  # noqa: TRY301
                data = bytearray()
                for chunk in response.iter_raw():
                    data += chunk
                    if len(data) > limit:
                        raise WireError("the reply is too long")  # noqa: TRY301
            return parse_object(data)
        except (httpx2.HTTPError, httpx2.StreamError, WireError) as error:
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> NotToBeAsked:
        reason = str(error) if isinstance(error, WireError) else type(error).__name__
        return NotToBeAsked(host=urlsplit(self._base).netloc, reason=reason)


def _until_stop(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """Up to the first stop string, and whether there is one."""
    places = [place for each in stop if each and (place := text.find(each)) >= 0]
    return (text[: min(places)], True) if places else (text, False)


def _places(reply: dict[str, Any]) -> list[Any]:
    choices = reply.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    places = choice.get("prompt_logprobs") if isinstance(choice, dict) else None
    if not isinstance(places, list):
        raise WireError("it lists no log-probabilities of the prompt")
    return places


def _listed(token: int, place: Any) -> Listed:
    """One position: an object from token ids, as text, to objects with a ``logprob``. The token that stands there is
    listed besides, where it is none of the likeliest.
    """
    if not isinstance(place, dict) or not 1 <= len(place) <= MAX_LISTED + 1:
        raise WireError("a position that is listed otherwise than vLLM does")
    own = place.get(str(token))
    if own is None:
        raise WireError("a position that does not list its own token")
    logprob = _logprob(own)
    likeliest = sorted(
        (_logprob(each) for word, each in place.items() if len(place) <= MAX_LISTED or word != str(token))
    )
    likeliest.reverse()
    if math.fsum(map(math.exp, likeliest)) > 1 + ROUNDING or logprob > likeliest[0]:
        raise WireError("a position whose probabilities are more than one")
    return Listed(token, logprob, tuple(likeliest))


def _logprob(entry: Any) -> float:
    told: Any = entry.get("logprob") if isinstance(entry, dict) else None
    if type(told) in (int, float) and LEAST_LOGPROB <= told <= ROUNDING:  # a number that is none is in no bounds
        return min(0.0, float(told))
    raise WireError("a log-probability that is no number")


def _is_token(value: Any) -> bool:
    return type(value) is int and 0 <= value < MAX_COUNT

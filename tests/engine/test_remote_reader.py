"""Another server is asked about an answer that is there: what vLLM says is read, and whatever else it says is refused."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commun.audit.case import CannotAudit, Why, case_of
from commun.engine.remote_model import look_up
from commun.engine.remote_reader import NotToBeAsked, RemoteReader
from commun.receipts.commitments import Values, whole_logprobs
from commun.receipts.issue import Receipt
from commun.receipts.statement import REMOTE_SAMPLER, EngineUsed, Sampler, Scheme, Seed
from commun.receipts.verification import Trust
from engine.toy_vllm import END, ToyServer, drawn, logprobs_after, rendered, text_of, toy_server
from made_receipt import made_receipt

MESSAGES = (("system", "You answer briefly."), ("user", "Why?"))
FAR: dict[str, Any] = {
    "model_id": "far",
    "model_digest": "",
    "engine": EngineUsed("vllm", "", "remote"),
    "seed": Seed(Scheme.REMOTE, 1),
    "sampler": Sampler(REMOTE_SAMPLER, "0.8", "0.95", 64, ignore_eos=False),
}


def remote_receipt(
    ids: list[int], recorded: list[float] | None, *, name: str = "turn", messages=MESSAGES, prompt=None, **changes: Any
) -> Receipt:
    text = changes.pop("text", text_of([token for token in ids if token != END]))
    values = Values(
        prompt_token_ids=prompt,
        prompt_messages=messages,
        answer_token_ids=tuple(ids),
        answer_text=text,
        logprobs=None if recorded is None else whole_logprobs(recorded),
        stop=changes.pop("stop", None),
        schema=changes.pop("schema", None),
    )
    finish = "stop" if END in ids or values.stop else "length"
    return made_receipt(name, values, **(FAR | {"finish": finish, "answer_tokens": len(ids)} | changes))


@pytest.fixture
def toy() -> Iterator[ToyServer]:
    with toy_server() as toy:
        yield toy


@pytest.fixture
def reader(toy: ToyServer) -> Iterator[RemoteReader]:
    reader = RemoteReader(look_up(toy.url), "sk-1")
    yield reader
    reader.close()


def case_for(receipt: Receipt):
    return case_of(receipt.bundle().data(), Trust())[0]


def asked(reader: RemoteReader, receipt: Receipt):
    return reader.recompute(case_for(receipt), progress=lambda *_: None)


def test_the_figures_are_those_of_the_model_at_each_place(toy, reader) -> None:
    ids, recorded = drawn(rendered(MESSAGES), 20, temperature=0.8, top_p=0.95, seed=3)
    found = asked(reader, remote_receipt(ids, recorded))
    prompt = rendered(MESSAGES)
    for place, fact in enumerate(found.facts):
        assert fact.logprob == pytest.approx(logprobs_after((*prompt, *ids[:place]))[ids[place]])
    assert [fact.token for fact in found.facts] == ids
    assert found.texts[0] == text_of([token for token in ids if token != END])
    assert found.prompt is None
    assert {key for _, _, key in toy.asked[1:]} == {"Bearer sk-1"}


def test_it_names_itself_by_its_version(reader) -> None:
    machine = {"engine": "vllm 0.32.0", "profile": "remote", "threads": "", "processor": "", "processor_class": ""}
    assert reader.machine.to_json() == machine


def test_what_ended_the_answer_is_learned_from_it(reader) -> None:
    ids = [*b"Because.", END]
    found = asked(reader, remote_receipt(ids, None))
    assert (found.ends, found.texts[0], found.stopped) == (frozenset({END}), "Because.", None)
    stopped = asked(reader, remote_receipt([*b"Because. END"], None, stop=(" END",), text="Because."))
    assert (stopped.ends, stopped.texts[0], stopped.stopped) == (frozenset(), "Because.", 12)


def test_a_prompt_that_was_given_as_tokens_is_asked_about_as_it_is(toy, reader) -> None:
    found = asked(reader, remote_receipt([*b"no"], None, messages=None, prompt=(65, 66)))
    assert found.prompt is None
    assert toy.asked[-1][1]["prompt"] == [65, 66, *b"no"]
    both = asked(reader, remote_receipt([*b"no"], None, prompt=(65, 66)))
    assert both.prompt == rendered(MESSAGES)


def test_an_answer_longer_than_its_context_is_not_asked_about(toy, reader) -> None:
    with pytest.raises(CannotAudit) as refused:
        asked(reader, remote_receipt([65] * 1024, None))
    assert refused.value.why is Why.TOO_LONG
    assert "/v1/completions" not in [path for path, _, _ in toy.asked]


def test_an_answer_of_no_tokens_shows_nothing() -> None:
    with pytest.raises(CannotAudit) as refused:
        case_for(remote_receipt([], None, text=""))
    assert refused.value.why is Why.NO_TOKENS


HONEST = {"logprob": -1.0, "rank": 1, "decoded_token": "a"}
LIKELY = {"logprob": -0.1, "rank": 1}
WRONG: tuple[Any, ...] = (
    None,
    [],
    {},
    {"1": HONEST},
    {str(word): HONEST for word in range(200)},
    {"111": LIKELY, "1": LIKELY, "2": LIKELY},
    *({"111": {"logprob": value, "rank": 1}} for value in ("-1", 0.5, -1e300, -(10**400), 10**400, True, None, [])),
    {"111": {"rank": 1}},
    {"111": None},
)


@pytest.mark.parametrize("place", WRONG, ids=range(len(WRONG)))
def test_a_position_that_is_none_is_refused(toy, reader, place) -> None:
    toy.lies = lambda places: places.__setitem__(-1, place)
    with pytest.raises(NotToBeAsked):
        asked(reader, remote_receipt([*b"no"], None))


def test_another_number_of_positions_is_refused(toy, reader) -> None:
    for lie in (list.pop, list.clear, lambda places: places.append(places[-1])):
        toy.lies = lie
        with pytest.raises(NotToBeAsked):
            asked(reader, remote_receipt([*b"no"], None))


def all_asked(reader: RemoteReader) -> None:
    asked(reader, remote_receipt([*b"no"], None))
    assert reader.machine.engine


@pytest.mark.parametrize("path", ["/tokenize", "/detokenize", "/v1/completions", "/version"])
@pytest.mark.parametrize(
    "reply",
    [
        (500, b"{}"),
        (302, b""),
        (200, b""),
        (200, b"["),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"tokens": [], "prompt": 5, "version": "", "choices": []}'),
        (200, b'{"tokens": [1, "2"], "prompt": null, "version": "a\\nb", "choices": [{"prompt_logprobs": {}}]}'),
        (200, b'{"tokens": [-1], "choices": {"0": 1}}'),
        (200, b'{"tokens": [NaN]}'),
        (200, b'{"a":' * 100_000),
        (200, b" " * (64 << 20)),
    ],
    ids=lambda reply: f"{reply[0]} {reply[1][:20]!r}",
)
def test_a_reply_that_is_none_is_refused_whatever_it_is(toy, reader, path, reply) -> None:
    toy.broken[path] = reply
    with pytest.raises(NotToBeAsked):
        all_asked(reader)


def test_a_server_that_is_gone_is_told_so(toy) -> None:
    server = look_up(toy.url)
    reader = RemoteReader(replace(server, url="http://127.0.0.1:9/v1"))
    with pytest.raises(NotToBeAsked, match="ConnectError"):
        _ = reader.machine


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["choices", "prompt_logprobs", "110", "111", "logprob", "tokens", "prompt"]), inner
        )
    ),
    max_leaves=20,
)


@given(reply=JSON)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_reply_raises_anything_else(toy, reader, reply) -> None:
    data = json.dumps(reply).encode()
    for path in ("/tokenize", "/detokenize", "/v1/completions"):
        toy.broken = {path: (200, data)}
        try:
            asked(reader, remote_receipt([*b"no"], None))
        except (NotToBeAsked, CannotAudit):
            continue

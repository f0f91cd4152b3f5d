"""The statement and what is disclosed: steps 3 and 4."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import world
from broken_case import NFC, NFD, Broken
from commun.ledger.keys import to_base64
from commun.receipts.bundle import Logged
from commun.receipts.errors import Reason
from commun.receipts.issue import issue


def _statement(made: Broken) -> None:
    plain = base64.b64decode(json.loads(world.signed().envelope)["payload"])
    reason = Reason.STATEMENT_NOT_CANONICAL

    def signed(name: str, why: Reason, about: str, data: bytes) -> None:
        made.add(name, why, about, replace(world.resigned(data), charter=None, ledger=Logged()))

    reordered = json.dumps(dict(reversed(list(json.loads(plain).items()))), separators=(",", ":")).encode()
    signed("reordered-fields", reason, "the same fields in another order, signed", reordered)
    signed("statement-with-a-space", reason, "signed with a space in it", plain.replace(b":", b": ", 1))
    signed(
        "statement-duplicate-key",
        reason,
        "a name twice, signed",
        plain.replace(b'"persona":""', b'"persona":"","persona":""'),
    )
    signed("statement-escaped", reason, "a letter written as an escape", plain.replace(b'"small"', b'"\\u0073mall"'))
    signed("temperature-as-a-float", reason, "0.7 as a number", plain.replace(b'"0.7"', b"0.7"))
    signed("statement-huge-integer", reason, "beyond 2^53", plain.replace(b'"kept":1', b'"kept":9007199254740993'))
    signed("statement-not-json", reason, "a sentence", b"This answer is right.")
    reason = Reason.STATEMENT_TYPE
    signed("other-predicate-type", reason, "a later receipt", plain.replace(b"answer-receipt:v1", b"answer-receipt:v2"))
    signed("other-statement-type", reason, "an older in-toto", plain.replace(b"Statement/v1", b"Statement/v0.1"))
    fields = Reason.STATEMENT_FIELDS
    made.restated("statement-unknown-field", fields, "a field that no receipt has", lambda p: p.update(note="x"))
    made.restated("statement-missing-field", fields, "no seed", lambda p: p.pop("seed"))
    made.restated(
        "answer-not-committed-to",
        fields,
        "every receipt commits to the text",
        lambda p: p["commitments"].update(answer_text=None),
    )
    made.restated(
        "digest-in-capitals",
        fields,
        "a digest has one writing",
        lambda p: p["charter"].update(digest=p["charter"]["digest"].upper()),
    )
    made.restated(
        "short-digest", fields, "63 digits", lambda p: p["charter"].update(digest=p["charter"]["digest"][:-1])
    )
    made.restated("decimal-not-shortest", fields, "0.70 for 0.7", lambda p: p["sampler"].update(temperature="0.70"))
    made.restated("decimal-with-an-exponent", fields, "7e-1 for 0.7", lambda p: p["sampler"].update(temperature="7e-1"))
    made.restated(
        "time-with-an-offset", fields, "times are UTC, with a Z", lambda p: p.update(ended="2026-11-22T09:30:04+00:00")
    )
    made.restated("31st-of-february", fields, "no such day", lambda p: p.update(began="2026-02-31T09:30:00Z"))
    made.restated("seed-of-33-bits", fields, "a seed has 32", lambda p: p["seed"].update(value=2**32))
    made.restated(
        "seed-scheme-unknown", fields, "nobody knows how it came about", lambda p: p["seed"].update(scheme="lucky")
    )
    made.restated(
        "derived-seed-without-its-salt",
        fields,
        "a derived seed has epoch, salt and nonce",
        lambda p: p["seed"].update(scheme="derived/1"),
    )
    made.restated(
        "tools-not-sorted", fields, "names stand in order, each once", lambda p: p.update(tools=["web", "calculator"])
    )
    made.restated(
        "name-that-cannot-be-shown",
        fields,
        "a control character in a name",
        lambda p: p["model"].update(id="small\u202egnp"),
    )
    subject = world.restated(lambda s: s["subject"][0]["digest"].update(hmacSha256="00" * 32))
    made.add(
        "subject-of-another-answer",
        fields,
        "the subject is not the answer committed to",
        replace(subject, charter=None, ledger=Logged()),
    )


def _contradictions(made: Broken) -> None:
    reason = Reason.STATEMENT_CONTRADICTION
    made.restated(
        "ended-before-it-began", reason, "time goes forward", lambda p: p.update(ended="2026-11-22T09:29:59Z")
    )
    made.restated("failed-without-an-error", reason, "a failure has a code", lambda p: p.update(state="failed"))
    made.restated(
        "complete-with-an-error", reason, "only a failure has a code", lambda p: p.update(error="engine_failed")
    )
    made.restated(
        "complete-and-cut-off", reason, "a complete answer was not cancelled", lambda p: p.update(finish="cancelled")
    )
    made.restated(
        "longer-than-it-could-be", reason, "more tokens than max_tokens", lambda p: p["sampler"].update(max_tokens=5)
    )
    made.restated(
        "remote-sampler-in-an-exact-engine",
        reason,
        "this engine samples itself",
        lambda p: p["sampler"].update(id="remote"),
    )
    made.restated(
        "model-without-files", reason, "only a remote model has no digest", lambda p: p["model"].update(digest="")
    )


def _disclosed(made: Broken) -> None:
    reason = Reason.COMMITMENT_MISMATCH

    def value(name: str, about: str, field: str, change: Callable[[Any], Any]) -> None:
        made.changed(
            name, reason, about, lambda v: v["disclosed"][field].update(value=change(v["disclosed"][field]["value"]))
        )

    value("edited-answer", "one word of the answer", "answer_text", lambda t: t.replace("must", "may"))
    value(
        "edited-question",
        "one word of the question",
        "prompt_messages",
        lambda m: [m[0], {**m[1], "content": "What is a forum?"}],
    )
    value(
        "edited-system-prompt",
        "one space after the system prompt",
        "prompt_messages",
        lambda m: [{**m[0], "content": m[0]["content"] + " "}, m[1]],
    )
    value(
        "message-boundary-moved",
        "the same letters, cut elsewhere",
        "prompt_messages",
        lambda m: [m[0], {"role": "userW", "content": m[1]["content"][1:]}],
    )
    value("edited-token", "one token of the answer", "answer_token_ids", lambda t: [505, *t[1:]])
    value("tokens-in-another-order", "the same tokens, exchanged", "answer_token_ids", lambda t: [t[1], t[0], *t[2:]])
    value("edited-figure", "one log-probability by 10⁻⁷", "logprobs", lambda t: [t[0] + 1, *t[1:]])
    value("newline-added", "the answer and a newline", "answer_text", lambda t: t + "\n")
    made.changed(
        "wrong-salt",
        reason,
        "another salt, of the right length",
        lambda v: v["disclosed"]["answer_text"].update(salt=to_base64(bytes(32))),
    )
    made.changed(
        "salts-exchanged",
        reason,
        "the salt of another field",
        lambda v: v["disclosed"]["answer_text"].update(salt=v["disclosed"]["logprobs"]["salt"]),
    )
    accent = replace(world.VALUES, answer_text=f"Un comit{NFC}")
    other = issue(world.statement(), accent, world.SIGNER, salts=world.SALTS).bundle()
    made.add(
        "normalised-otherwise",
        reason,
        "the same letters in Unicode's other form",
        other.data().replace(NFC.encode(), NFD.encode()),
    )
    conversation = issue(
        world.statement(),
        world.VALUES,
        world.SIGNER,
        salts={name: world.seed_of(f"elsewhere {name}") for name in world.SALTS},
    )
    made.add(
        "receipt-of-another-conversation",
        reason,
        "a good receipt, of somebody else's answer of the same words",
        replace(conversation.bundle(), disclosed=world.bundle().disclosed),
    )
    salt = to_base64(world.SALTS["schema"])
    made.changed(
        "value-never-committed-to",
        Reason.COMMITMENT_ABSENT,
        "a schema, where the receipt has none",
        lambda v: v["disclosed"].update(schema={"salt": salt, "value": "{}"}),
    )
    made.restated(
        "count-of-tokens-edited",
        Reason.COUNT_MISMATCH,
        "seven are counted, six are shown",
        lambda p: p["tokens"].update(answer=7),
    )
    made.restated(
        "count-of-messages-edited",
        Reason.COUNT_MISMATCH,
        "three are said to be kept, one was",
        lambda p: p["context"].update(kept=3),
    )
    made.restated(
        "count-of-the-prompt-edited",
        Reason.COUNT_MISMATCH,
        "fewer than the model was given",
        lambda p: p["tokens"].update(prompt=5),
    )


STEPS = (_statement, _contradictions, _disclosed)

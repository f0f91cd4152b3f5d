"""Bundles with something wrong, somewhere, by chance: what two verifiers have to agree about.

Each is made from a golden one: its bytes, a place in its JSON, a place in the statement (which is then signed and logged
as if it were right), a line or a letter of a proof, a file of the charter, or the reader's policy. A number is the seed.
"""

import base64
import json
import random
import string
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "receipts"))

import rfc8785

import golden
import world
from commun.ledger.keys import ML_DSA_44, SignerKey
from commun.receipts.verification import Trust

ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 255, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53 - 1, 2**53, -(2**53), 10**15, "", "0",
    "0.7", "0.70", "1.5", "00", ".5", "-1", "a", "A", "é", "e\u0301", " ", "\u00a0", "\u200b", "\ufeff", "\u2028", "\n", "\x7f",
    "\x85", "🗳", "x" * 255, "x" * 256, "🗳" * 255, "é" * 256, "remote", "exact", "fast", "caller", "derived/1", "text", "chat",
    "system", "failed", "complete", "cancelled", "en", "fr", "pending", "clown", "far", "small", "0.1", "1.0", "0.1.0rc1", [],
    [1], ["a"], ["a", "b"], ["b", "a"], ["documents"], {}, {"a": 1}, "ab" * 32, "AB" * 32, "__proto__", "constructor",
    "2026-11-22T09:30:00Z", "2026-02-30T09:30:00Z", "2024-02-29T24:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
    "2026-11-22T09:30:60Z", "2028-11-22T09:30:00Z", "2026-11-22T09:30:00+00:00",
)  # fmt: skip
BYTES = b'"\\{}[]:,0123456789-.eE \n\r\ttruefalsn\x00\x7f\x80\xef\xbb\xbf\xff+/=_'


@dataclass(frozen=True)
class Mutant:
    how: str
    data: bytes
    trust: Trust


@cache
def sources() -> tuple[golden.Case, ...]:
    return tuple(golden.golden())


def mutant(seed: int) -> Mutant:
    rnd = random.Random(seed)
    how = rnd.choice(HOWS)
    case = rnd.choice(sources())
    data, trust = how(rnd, case.data, case.trust)
    return Mutant(f"{how.__name__} {case.name} {seed}", data, trust)


def _bytes(rnd: random.Random, data: bytes, trust: Trust) -> tuple[bytes, Trust]:
    return _spoiled(rnd, data), trust


def _spoiled(rnd: random.Random, data: bytes) -> bytes:
    made = bytearray(data)
    for _ in range(rnd.choice((1, 1, 1, 2, 5))):
        at = rnd.randrange(len(made) + 1)
        long = rnd.choice((1, 1, 2, 30))
        change = rnd.randrange(5)
        if change == 0 and at < len(made):
            made[at] ^= 1 << rnd.randrange(8)
        elif change == 1:
            del made[at : at + long]
        elif change == 2:
            made[at:at] = bytes(rnd.choice(BYTES) for _ in range(long))
        elif change == 3:
            made[at:at] = made[at : at + long]
        elif at < len(made):
            made[at] = rnd.choice(BYTES)
    return bytes(made)


def _field(rnd: random.Random, data: bytes, trust: Trust) -> tuple[bytes, Trust]:
    value = json.loads(data)
    _change(rnd, value)
    return world.dumped(value) if isinstance(value, dict) else b"[]", trust


def _statement(rnd: random.Random, data: bytes, trust: Trust) -> tuple[bytes, Trust]:
    payload = json.loads(base64.b64decode(json.loads(json.loads(data)["envelope"])["payload"]))
    values = golden.world.VALUES
    for _ in range(rnd.choice((1, 1, 2, 3))):
        if rnd.random() < 0.7:
            _plausible(rnd, payload["predicate"])
        else:
            _change(rnd, payload if rnd.random() < 0.1 else payload["predicate"])
            break
    try:
        made = world.resigned(rfc8785.dumps(payload), values=values)
    except (ValueError, KeyError, RecursionError):  # a number that RFC 8785 does not know
        made = world.resigned(json.dumps(payload, sort_keys=True, separators=(",", ":")).encode(), values=values)
    whole = json.loads(made.data())
    whole["disclosed"] = json.loads(data)["disclosed"] if rnd.random() < 0.7 else dict.fromkeys(whole["disclosed"])
    if rnd.random() < 0.5:
        whole["charter"] = json.loads(data)["charter"]
    return world.dumped(whole), trust


# What a field may well hold, so that the later steps are reached.
PLAUSIBLE: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("state", ("complete", "stopped", "failed", "interrupted")),
    ("error", ("", "engine_lost")),
    ("finish", ("stop", "length", "cancelled")),
    ("began", ("2026-11-22T09:29:59Z", "2027-12-31T23:59:59Z", "2028-01-01T00:00:59Z", "2028-01-01T00:01:00Z", "2028-01-01T00:01:01Z")),
    ("ended", ("2026-11-22T09:30:04Z", "2026-11-22T09:35:06Z", "2026-11-22T09:35:07Z", "2028-01-01T00:02:00Z")),
    ("charter.edition", (1, 2, 3)),
    ("charter.digest", ("ab" * 32,)),
    ("charter.first_root", ("ab" * 32,)),
    ("charter.stale", (True, False)),
    ("model.id", ("small", "far", "other")),
    ("model.digest", ("", world.SMALL_DIGEST, "ab" * 32)),
    ("engine.name", ("", "x")),
    ("engine.profile", ("exact", "fast", "remote")),
    ("engine.notes", ({}, {"é": "\u202e"}, {"": "x"}, {"a b": ""})),
    ("software", ("0.1", "0.1.0", "0.0.9", "1.0", "1.0rc1", "0.9.9", "1!0.1", "0.1.dev1", "0.1a1", "0.1+local", "v0.5", "0.5-1",
                  "0.5.post1", "0.10", "00.5", "1.0.dev0", "abc", "0.5 ", "0.5.x", "9" * 30, "1.0+local")),
    ("sampler.id", ("openvino-genai/mt19937-cdf/1", "remote", "other")),
    ("sampler.temperature", ("0", "0.7", "1.5", "1.50000000001", "1.6", "2", "0.0000000001", "1." + "4" * 300)),
    ("sampler.top_p", ("0", "0.1", "0.0999999999999999999999", "0.05", "1", "1.000000000000000000000001", "0.95")),
    ("sampler.max_tokens", (1, 2, 5, 6, 8192, 8193)),
    ("sampler.ignore_eos", (True, False)),
    ("seed", ({"scheme": "caller", "value": 0}, {"scheme": "remote", "value": 1}, {"scheme": "drawn", "value": 2**32 - 1},
              {"scheme": "derived/1", "value": 1, "epoch": "ab" * 32, "salt": "cd" * 32, "nonce": ""})),
    ("context.kind", ("chat", "text")),
    ("context.policy", ("oldest-turns-first", "newest")),
    ("context.kept", (0, 1, 2)),
    ("persona", ("", "clown", "other")),
    ("language", ("en", "fr")),
    ("sources", ([], ["documents"], ["documents", "web"])),
    ("tools", ([], ["clock"])),
    ("tokens.answer", (0, 6, 7, 1024, 1025)),
    ("tokens.prompt", (0, 6, 7)),
    ("commitments.stop", ("ab" * 32, None)),
    ("commitments.schema", ("ab" * 32, None)),
    ("commitments.logprobs", (None,)),
    ("commitments.answer_token_ids", (None,)),
    ("ledger", ("", world.ORIGIN, "other.example.org/log")),
)  # fmt: skip


def _plausible(rnd: random.Random, predicate: dict[str, Any]) -> None:
    where, values = rnd.choice(PLAUSIBLE)
    outer, _, inner = where.rpartition(".")
    (predicate[outer] if outer else predicate)[inner] = rnd.choice(values)


def _change(rnd: random.Random, value: Any) -> None:
    """One place of ``value``, an object, is put otherwise, taken out, doubled or exchanged."""
    places = [place for place in _places(value) if place]
    place = rnd.choice(places)
    inside = value
    for part in place[:-1]:
        inside = inside[part]
    last = place[-1]
    change = rnd.randrange(6)
    if change == 0:
        del inside[last]
    elif change == 1 and isinstance(inside, dict):
        inside[rnd.choice(("x", "__proto__", "é", str(last) + " "))] = inside[last]
    elif change == 2 and isinstance(inside[last], str) and inside[last]:
        text = inside[last]
        at = rnd.randrange(len(text))
        inside[last] = text[:at] + rnd.choice(string.printable + "é🗳\u200b") + text[at + rnd.randrange(2) :]
    elif change == 3 and type(inside[last]) is int:
        inside[last] += rnd.choice((-1, 1, 2**32, -(2**31)))
    elif change == 4:
        other = rnd.choice(places)
        found = value
        for part in other:
            if not isinstance(found, (dict, list)):
                return
            try:
                found = found[part]
            except (KeyError, IndexError):
                return
        inside[last] = json.loads(json.dumps(found))
    else:
        inside[last] = rnd.choice(ODD)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        found += _places(item, (*path, name))
    return found


def _proof(rnd: random.Random, data: bytes, trust: Trust) -> tuple[bytes, Trust]:
    value = json.loads(data)
    ledger = value["ledger"]
    edition = ledger["edition"]
    if edition is not None and rnd.random() < 0.4:
        edition["proof"] = _relined(rnd, edition["proof"])
    elif ledger["receipt"]:
        ledger["receipt"] = _relined(rnd, ledger["receipt"])
    if rnd.random() < 0.2:
        ledger["key"] = _letter(rnd, ledger["key"])
    if rnd.random() < 0.1:
        ledger["edition"] = None
    return world.dumped(value), trust


def _relined(rnd: random.Random, text: str) -> str:
    lines = text.split("\n")
    at = rnd.randrange(len(lines))
    change = rnd.randrange(7)
    if change == 0:
        del lines[at]
    elif change == 1:
        lines.insert(at, rnd.choice(lines))
    elif change == 2:
        other = rnd.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    elif change == 3:
        lines.insert(1, rnd.choice(("extra YQ==", "extra ", "extra YQ", "extra YR==", "extra", "Extra YQ==", "")))
    elif change == 4:
        lines[at] = rnd.choice(("0", "1", "01", "-1", "9", "10", "11", "12", "9223372036854775807", "9223372036854775808",
                                "index 9", "index 0", "index 9223372036854775807", "index 9223372036854775808", "x", ""))  # fmt: skip
    else:
        lines[at] = _letter(rnd, lines[at])
    return "\n".join(lines)


def _letter(rnd: random.Random, text: str) -> str:
    at = rnd.randrange(len(text) + 1)
    return text[:at] + rnd.choice(["", *string.printable, "é", "\u2014", "\u00a0", "\ufeff", "\x85"]) + text[at + 1 :]


def _charter(rnd: random.Random, data: bytes, trust: Trust) -> tuple[bytes, Trust]:
    value = json.loads(data)
    files = value["charter"] or {name: text.decode() for name, text in world.first().documents.items()}
    name = rnd.choice(sorted(files))
    change = rnd.randrange(6)
    if change == 0:
        del files[name]
    elif change == 1:
        files[rnd.choice(("metadata/3.root.json", "metadata/2.assents.json", "metadata/1.targets.json", "freezes/2.freeze.json",
                          "targets/" + "ab" * 32 + ".x", "targets/prompts/" + "ab" * 32 + ".x.md", "metadata/timestamp.json",
                          "amendments/0123456789ab.amendment", name + "x"))] = files[name]  # fmt: skip
    elif change == 2:
        files[name] = files[rnd.choice(sorted(files))]
    elif change == 3:
        files[name] = _letter(rnd, files[name])
    elif name.startswith("metadata/"):
        try:
            inner = json.loads(files[name])
            _change(rnd, inner)
            files[name] = json.dumps(inner, indent=rnd.choice((None, 1)))
        except ValueError:
            pass
    value["charter"] = files
    return world.dumped(value), trust


def _policy(rnd: random.Random, data: bytes, trust: Trust) -> tuple[bytes, Trust]:
    text = world.policy_of(needed=rnd.choice(("1", "2", "3", "all", "any", "0", "4", "02")))
    if rnd.random() < 0.3:
        text = text.replace(
            "quorum all-of-them", rnd.choice(("quorum none", "quorum north", "quorum west", "quorum nobody", "# none"))
        )
    if rnd.random() < 0.3:
        inner = "group inner any north south\ngroup outer all inner west\nquorum outer\n"
        text = "\n".join(text.split("\n")[:4]) + "\n" + inner
    if rnd.random() < 0.8:
        text = _relined(rnd, text)
    policy = text.encode("utf-8", "surrogatepass")
    if rnd.random() < 0.1:
        policy = _spoiled(rnd, policy)
    return data, replace(trust, policy=policy)


def _trust(rnd: random.Random, data: bytes, trust: Trust) -> tuple[bytes, Trust]:
    own, other = world.SIGNER.key.text(), world.OTHER_SIGNER.key.text()
    known = (
        own,
        own,
        other,
        own.upper(),
        own + " ",
        own[:-1],
        "ed25519:" + "01" + "00" * 31,
        "ed25519:" + "ff" * 32,
        "",
    )
    keys = tuple(rnd.choice(known) for _ in range(rnd.randrange(4)))
    return data, replace(trust, keys=keys, charter=rnd.choice((trust.charter, "", "ab" * 32)))


PQ_LOG = SignerKey(world.ORIGIN, ML_DSA_44, world.seed_of("receipts log pq"))
PQ_WITNESS = SignerKey("pq.example.org", ML_DSA_44, world.seed_of("receipts witness pq"))


@cache
def quantum() -> tuple[bytes, bytes]:
    """A whole bundle whose ledger and one of whose witnesses sign with ML-DSA-44, and the policy that asks for both."""
    world.WITNESSES["pq"] = PQ_WITNESS
    try:
        receipt = world.signed()
        ledger, at, edition_at = world.ledger_with(
            receipt.entry, log=PQ_LOG, cosigners={"north": world.CONFIRMED, "pq": world.CONFIRMED}
        )
    finally:
        del world.WITNESSES["pq"]
    edition = world.LoggedEntry(world.adoption(world.second()), _pq(ledger, edition_at))
    logged = world.Logged(PQ_LOG.verifier.text(), _pq(ledger, at), edition)
    policy = f"log {PQ_LOG.verifier.text()}\nwitness pq {PQ_WITNESS.verifier.text()}\nquorum pq\n"
    return world.bundle(receipt, ledger=logged).data(), policy.encode()


def _pq(ledger: world.Ledger, at: int) -> str:
    world.WITNESSES["pq"] = PQ_WITNESS
    try:
        return ledger.proof(at)
    finally:
        del world.WITNESSES["pq"]


def _quantum(rnd: random.Random, _data: bytes, trust: Trust) -> tuple[bytes, Trust]:
    data, policy = quantum()
    if rnd.random() < 0.8:
        data, _ = _proof(rnd, data, trust)
    elif rnd.random() < 0.5:
        policy = _spoiled(rnd, policy)
    return data, Trust(charter=world.second().first_root, policy=policy)


HOWS: tuple[Callable[[random.Random, bytes, Trust], tuple[bytes, Trust]], ...] = (
    _bytes, _field, _field, _statement, _statement, _statement, _proof, _proof, _charter, _policy, _trust, _quantum,
)  # fmt: skip

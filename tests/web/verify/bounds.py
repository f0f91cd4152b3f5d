"""Bundles at each bound of the specification and one beyond it."""

import base64
import hashlib
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "receipts"))

import world
from commun.ledger.keys import ED25519, ED25519_COSIGNATURE, SignerKey
from commun.receipts.verification import Trust

Change = Callable[[dict[str, Any]], object]
PINNED = Trust(charter=world.second().first_root)
DIGITS = "ab" * 32


@dataclass(frozen=True)
class Bound:
    """``within`` is not refused for what ``beyond`` is refused for, by ``reason``."""

    name: str
    within: bytes
    beyond: bytes
    reason: str
    trust: tuple[Trust, Trust] = (PINNED, PINNED)


def bounds() -> Iterator[Bound]:
    yield from _file()
    yield from _statements()
    yield from _proofs()
    yield from _policies()


def _changed(change: Change) -> bytes:
    value = world.value()
    change(value)
    return world.dumped(value)


def _restated(change: Change) -> bytes:
    return world.restated(lambda statement: change(statement["predicate"])).data()


def _file() -> Iterator[Bound]:
    def files(count: int) -> bytes:
        return _changed(
            lambda value: value["charter"].update({f"metadata/{n}.assents.json": "" for n in range(100, 100 + count)})
        )

    there = len(world.second().documents)
    yield Bound("files of the charter", files(2048 - there), files(2049 - there), "bundle-fields")

    def named(name: str) -> bytes:
        return _changed(lambda value: value["charter"].update({name: ""}))

    head = f"targets/{DIGITS}."
    name = head + "a" * (200 - len(head))
    yield Bound("a name of the charter", named(name), named(name + "a"), "bundle-fields")
    numbers = ("metadata/999999999.root.json", "metadata/1000000000.root.json")
    yield Bound("the number of a root", named(numbers[0]), named(numbers[1]), "bundle-fields")

    def entry(length: int) -> bytes:
        return _changed(lambda value: value["ledger"]["edition"].update(entry=base64.b64encode(bytes(length)).decode()))

    yield Bound("the edition's entry", entry(65_535), entry(65_536), "bundle-fields")

    def levels(count: int) -> bytes:
        return b'{"a":' + b"[" * (count - 1) + b"]" * (count - 1) + b"}"

    yield Bound("levels of JSON", levels(64), levels(100_000), "not-strict-json")

    def payload(length: int) -> bytes:
        envelope = world.SIGNER.sign(b" " * length).decode()
        return _changed(lambda value: value.update(envelope=envelope))

    yield Bound("the payload", payload(65_536), payload(65_537), "envelope-form")

    def signature(length: int) -> bytes:
        def change(value: dict[str, Any]) -> None:
            envelope = json.loads(value["envelope"])
            envelope["signatures"][0]["sig"] = base64.b64encode(bytes(length)).decode()
            value["envelope"] = json.dumps(envelope, sort_keys=True, separators=(",", ":"))

        return _changed(change)

    yield Bound("the envelope", signature(90_000), signature(100_000), "envelope-form")


def _statements() -> Iterator[Bound]:
    pairs: tuple[tuple[str, Any, Any], ...] = (
        ("software", "9" * 255, "9" * 256),
        ("persona", "🗳" * 255, "🗳" * 256),
        ("ledger", "é" * 255, "é" * 256),
        ("error", "a" * 64, "a" * 65),
        ("charter.edition", 100_000, 100_001),
        ("charter.edition", 1, 0),
        ("engine.notes", {str(n): "" for n in range(64)}, {str(n): "" for n in range(65)}),
        ("engine.notes", {"a": "🗳" * 1000}, {"a": "🗳" * 1001}),
        ("engine.notes", {"a" * 255: "\x00"}, {"a" * 256: ""}),
        ("sampler.id", "a" * 64, "a" * 65),
        ("sampler.temperature", "999999999999", "1000000000000"),
        ("sampler.temperature", "0." + "0" * 399 + "1", "0." + "0" * 400 + "1"),
        ("sampler.max_tokens", 2**31 - 1, 2**31),
        ("sampler.max_tokens", 1, 0),
        ("seed.value", 2**32 - 1, 2**32),
        ("seed", _derived("ab" * 64), _derived("ab" * 65)),
        ("context.kept", 2**31 - 1, 2**31),
        ("tools", [f"a{n:02}" for n in range(64)], [f"a{n:02}" for n in range(65)]),
        ("tools", ["a" * 64], ["a" * 65]),
        ("tokens.prompt", 2**31 - 1, 2**31),
        ("began", "0001-01-01T00:00:00Z", "0000-12-31T00:00:00Z"),
        ("ended", "9999-12-31T23:59:59Z", "9999-12-31T23:59:60Z"),
    )
    for where, within, beyond in pairs:
        yield Bound(where, _restated(_put(where, within)), _restated(_put(where, beyond)), "statement-fields")
    longer = _restated(_put("tokens.answer", 1025))
    yield Bound("tokens of the answer", _restated(_put("tokens.answer", 1024)), longer, "statement-contradiction")


def _derived(nonce: str) -> dict[str, Any]:
    return {"scheme": "derived/1", "value": 1, "epoch": DIGITS, "salt": DIGITS, "nonce": nonce}


def _put(where: str, value: Any) -> Change:
    outer, _, inner = where.rpartition(".")
    return lambda predicate: (predicate[outer] if outer else predicate).update({inner: value})


def _proofs() -> Iterator[Bound]:
    def proof(change: Callable[[str], str]) -> bytes:
        return _changed(lambda value: value["ledger"].update(receipt=change(value["ledger"]["receipt"])))

    hash_line = base64.b64encode(bytes(32)).decode() + "\n"
    there = world.value()["ledger"]["receipt"].partition("\n\n")[0].count("\n") - 1

    def hashes(count: int) -> bytes:
        return proof(lambda text: text.replace("\n\n", "\n" + hash_line * (count - there) + "\n", 1))

    yield Bound("hashes", hashes(63), hashes(64), "proof-form")

    def extra(length: int) -> bytes:
        line = f"extra {base64.b64encode(bytes(length)).decode()}\n"
        return proof(lambda text: text.replace("index", line + "index", 1))

    yield Bound("the extra line", extra(65_536), extra(65_537), "proof-form")
    yield Bound("an extra line with something", extra(1), extra(0), "proof-form")

    def signatures(count: int) -> bytes:
        return proof(lambda text: text + "".join(f"— other{n} AAAAAAA=\n" for n in range(count - 3)))

    yield Bound("signatures", signatures(100), signatures(101), "proof-form")

    def long_note(length: int) -> bytes:
        def change(text: str) -> str:
            beginning, _, note = text.partition("\n\n")
            line = f"— {'x' * 1000} AAAAAAA=\n"
            free = length - len(note.encode())
            last = free - 90 * len(line.encode())
            named = f"— {'y' * (last - len('— ') - 2 - len(' AAAAAAA=') - 1)} AAAAAAA=\n"
            return f"{beginning}\n\n{note}{line * 90}{named}"

        return proof(change)

    yield Bound("the note", long_note(1_000_000), long_note(1_000_001), "proof-form")

    def index(number: int) -> bytes:
        return proof(lambda text: text.replace("index 9\n", f"index {number}\n", 1))

    yield Bound("the index", index(2**63 - 1), index(2**63), "proof-form")

    def seen(seconds: int) -> bytes:
        receipt = world.signed()
        ended = int(world.ENDED.timestamp())
        logged = world.logged(receipt.entry, cosigners={"north": ended - seconds, "south": ended})
        return world.bundle(receipt, ledger=logged).data()

    yield Bound("a witness's clock", seen(300), seen(301), "ledger-time")


def _policies() -> Iterator[Bound]:
    whole = world.bundle().data()

    def bound(name: str, within: str, beyond: str) -> Bound:
        trust = (replace(PINNED, policy=within.encode()), replace(PINNED, policy=beyond.encode()))
        return Bound(name, whole, whole, "bad-policy", trust)

    def logs(count: int) -> str:
        keys = (SignerKey(f"log{n}.example", ED25519, world.seed_of(f"log {n}")) for n in range(count - 1))
        return world.policy_of() + "".join(f"log {key.verifier.text()}\n" for key in keys)

    yield bound("logs", logs(64), logs(65))

    def witnesses(count: int) -> str:
        keys = (SignerKey("w.example", ED25519_COSIGNATURE, world.seed_of(f"w {n}")) for n in range(count - 3))
        return world.policy_of() + "".join(f"witness w{n} {key.verifier.text()}\n" for n, key in enumerate(keys))

    yield bound("witnesses", witnesses(256), witnesses(257))

    def groups(count: int) -> str:
        first, _, _ = world.policy_of().rpartition("quorum")
        names = ["all-of-them", *(f"g{n}" for n in range(count - 1))]
        chain = "".join(f"group {new} any {old}\n" for old, new in itertools.pairwise(names))
        return f"{first}{chain}quorum {names[-1]}\n"

    yield bound("groups", groups(256), groups(257))
    text = world.policy_of()
    free = 1_000_000 - len(text) - 2
    yield bound("the policy", f"{text}#{' ' * free}\n", f"{text}#{' ' * (free + 1)}\n")

    def named(length: int) -> str:
        key = (
            SignerKey("n" * length, ED25519_COSIGNATURE, world.seed_of("long")).verifier.text() if length < 256 else ""
        )
        return f"{text}witness long {key or _key_named('n' * length)}\n"

    yield bound("a key's name", named(255), named(256))


def _key_named(name: str) -> str:
    """As text, whatever the name's length."""
    public = SignerKey("n", ED25519_COSIGNATURE, world.seed_of("long")).verifier.public
    data = bytes([ED25519_COSIGNATURE]) + public
    digest = hashlib.sha256(f"{name}\n".encode() + data).hexdigest()
    return f"{name}+{digest[:8]}+{base64.b64encode(data).decode()}"

"""Bundles that are wrong in one place which chance does not find: mostly heads, notes and keys that somebody made so."""

import base64
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "receipts"))

import world
from commun.ledger.keys import ED25519, ED25519_COSIGNATURE, ML_DSA_44, SignerKey
from commun.ledger.merkle import leaf_hash
from commun.receipts.bundle import Logged
from commun.receipts.verification import Trust

PINNED = Trust(charter=world.second().first_root)
NORTH = world.WITNESSES["north"]


@dataclass(frozen=True)
class Corner:
    """``reason`` "": it is not refused."""

    name: str
    reason: str
    data: bytes
    trust: Trust = PINNED


def corners() -> Iterator[Corner]:
    yield from _files()
    yield from _heads()
    yield from _trees()
    yield from _policies()


def _changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    value = world.value()
    change(value)
    return world.dumped(value)


def _files() -> Iterator[Corner]:
    engine = {"name": "openvino-genai", "version": "1", "profile": "exact", "notes": {}}
    for name, change in (
        ("a charter that is a list", lambda value: value.update(charter=[])),
        ("a charter that is a text", lambda value: value.update(charter="")),
        ("a ledger's key that is a number", lambda value: value["ledger"].update(key=1)),
        ("a ledger that is a list", lambda value: value.update(ledger=[])),
        ("an edition's part with another field", lambda value: value["ledger"]["edition"].update(more="")),
        ("an edition's part that is a text", lambda value: value["ledger"].update(edition="")),
        ("a salt that is a number", lambda value: value["disclosed"]["answer_text"].update(salt=1)),
        ("what is disclosed with another field", lambda value: value["disclosed"]["answer_text"].update(more="")),
        ("a name out of every object", lambda value: value["disclosed"].update(constructor=None)),
    ):
        yield Corner(name, "bundle-fields", _changed(change))
    yield Corner(
        "a statement with another field",
        "statement-fields",
        world.restated(lambda statement: statement.update(more=1)).data(),
    )
    for name, fields in (
        ("a remote seed of an exact engine", {"seed": {"scheme": "remote", "value": 1}}),
        (
            "a remote engine with a sampler of its own",
            {"engine": {**engine, "profile": "remote"}, "model": {"id": "far", "digest": ""}},
        ),
        ("an exact engine without a model's files", {"model": {"id": "small", "digest": ""}}),
        ("a complete answer of no engine", {"engine": {**engine, "name": ""}}),
        ("an error that did not fail", {"error": "engine_lost"}),
    ):
        made = world.restated(lambda statement, fields=fields: statement["predicate"].update(fields))
        yield Corner(name, "statement-contradiction", made.data())
    for name, proof in (
        ("a proof without an index", f"c2sp.org/tlog-proof@v1\n\n{_note(_text(1, _leaf()))}"),
        ("a proof with its index twice", f"c2sp.org/tlog-proof@v1\nindex 0\nindex 0\n\n{_note(_text(1, _leaf()))}"),
        ("a proof that is a note", _note(_text(1, _leaf()))),
        ("a proof of another version", f"c2sp.org/tlog-proof@v2\nindex 0\n\n{_note(_text(1, _leaf()))}"),
    ):
        yield Corner(name, "proof-form", *_alone(proof))
    salted = {"salt": base64.b64encode(bytes(32)).decode(), "value": "{}"}
    yield Corner(
        "a value without a commitment",
        "commitment-absent",
        _changed(lambda value: value["disclosed"].update(schema=salted)),
    )


# heads: of a ledger that has the receipt alone, signed by the log whatever they say


def _note(text: str, *lines: str, log: SignerKey = world.LOG) -> str:
    signature = base64.b64encode(log.verifier.key_id + log.sign_raw(text.encode())).decode()
    return f"{text}\n— {log.name} {signature}\n{''.join(lines)}"


def _text(size: int | str, root: bytes, more: str = "") -> str:
    return f"{world.ORIGIN}\n{size}\n{base64.b64encode(root).decode()}\n{more}"


def _alone(proof: str, policy: str = "") -> tuple[bytes, Trust]:
    logged = Logged(world.LOG.verifier.text(), proof, None)
    own = policy or f"log {world.LOG.verifier.text()}\nwitness north {NORTH.verifier.text()}\nquorum none\n"
    return world.bundle(ledger=logged).data(), replace(PINNED, policy=own.encode())


def _head(
    name: str, reason: str, note: str, *, index: int = 0, hashes: tuple[bytes, ...] = (), policy: str = ""
) -> Corner:
    lines = "".join(f"{base64.b64encode(each).decode()}\n" for each in hashes)
    return Corner(name, reason, *_alone(f"c2sp.org/tlog-proof@v1\nindex {index}\n{lines}\n{note}", policy))


def _leaf() -> bytes:
    return leaf_hash(world.signed().entry)


def _line(value: bytes, key: SignerKey = NORTH) -> str:
    return f"— {key.name} {base64.b64encode(key.verifier.key_id + value).decode()}\n"


def _cosigned(text: str, time: int) -> str:
    return _line(time.to_bytes(8, "big") + NORTH.sign_raw(f"cosignature/v1\ntime {time}\n{text}".encode()))


def _heads() -> Iterator[Corner]:
    plain = _text(1, _leaf())
    now = world.CONFIRMED
    yield _head("a head as it should be", "", _note(plain))
    yield _head("a witness as it should be", "", _note(plain, _cosigned(plain, now)))
    yield _head("an extension line", "", _note(_text(1, _leaf(), "more\n")))
    yield _head("a line of an unknown key", "", _note(plain, "— other AAAAAAA=\n", f"— {'x' * 300} AAAAAAA=\n"))
    yield _head("a known name under another id", "", _note(plain, f"— {NORTH.name} AAAAAAA=\n"))
    for name, note in (
        ("a control character in an extension line", _note(_text(1, _leaf(), "a\x01b\n"))),
        ("a tab in an extension line", _note(_text(1, _leaf(), "a\tb\n"))),
        ("an empty extension line", _note(_text(1, _leaf(), "\nmore\n"))),
        ("another last letter than a newline", _note(plain)[:-1] + "x"),
        ("a signature without a signature", _note(plain, "— other AAAAAA==\n")),
        ("a hyphen for a dash", _note(plain, "- other AAAAAAA=\n")),
        ("two spaces", _note(plain, "—  other AAAAAAA=\n")),
        ("a name with a plus", _note(plain, "— ot+her AAAAAAA=\n")),
        ("a name with a space of Unicode's", _note(plain, "— ot\u2003her AAAAAAA=\n")),
        ("an empty tree with another root", _note(_text(0, _leaf()))),
        ("a size with a plus", _note(_text("+1", _leaf()))),
        ("a size beyond 2^63 - 1", _note(_text(2**63, _leaf()))),
        ("a root of 31 bytes", _note(_text(1, _leaf()[:31]))),
        ("no root", _note(f"{world.ORIGIN}\n1\n")),
    ):
        yield _head(name, "proof-form", note)
    for name, note in (
        ("a cosignature too short for its time", _note(plain, _line(b"1234567"))),
        ("a cosignature with nothing but a time", _note(plain, _line(now.to_bytes(8, "big")))),
        ("a time beyond 2^63 - 1", _note(plain, _cosigned(plain, 2**63))),
        ("the witness's second line is wrong", _note(plain, _cosigned(plain, now), _line(bytes(72)))),
        ("the log's second line is wrong", _note(plain, _line(bytes(64), world.LOG))),
        ("a plain signature in the witness's name", _note(plain, _line(NORTH.sign_raw(plain.encode())))),
        ("the witness alone", f"{plain}\n{_cosigned(plain, now)}"),
        ("another log of the same name", _note(plain, log=SignerKey(world.ORIGIN, ED25519, world.seed_of("impostor")))),
    ):
        yield _head(name, "checkpoint-unsigned", note)
    yield _head("a name with U+FEFF, which is no space", "", _note(plain, "— ot\ufeffher AAAAAAA=\n"))
    yield _head("a cosignature that states no time", "", _note(plain, _cosigned(plain, 0)))
    yield _head("a cosignature of long ago", "ledger-time", _note(plain, _cosigned(plain, 1)))


def _trees() -> Iterator[Corner]:
    leaf = _leaf()
    beside = hashlib.sha256(b"beside").digest()
    pair = hashlib.sha256(b"\1" + beside + leaf).digest()
    other = hashlib.sha256(b"\1" + leaf + beside).digest()
    yield _head("the right one of two", "", _note(_text(2, pair)), index=1, hashes=(beside,))
    yield _head("the left one of two", "", _note(_text(2, other)), hashes=(beside,))
    yield _head("the last one of three", "", _note(_text(3, pair)), index=2, hashes=(beside,))
    for name, size, root, index, hashes in (
        ("an index beyond the tree", 1, leaf, 1, ()),
        ("a far index beyond the tree", 1, leaf, 2**62, ()),
        ("a hash for a tree of one leaf", 1, pair, 0, (beside,)),
        ("the wrong side", 2, other, 1, (beside,)),
        ("too few hashes", 4, pair, 3, (beside,)),
        ("nothing for a tree of two", 2, leaf, 0, ()),
        ("an empty tree", 0, hashlib.sha256().digest(), 0, ()),
    ):
        yield _head(name, "not-in-ledger", _note(_text(size, root)), index=index, hashes=hashes)


# policies


def _key(name: str, kind: int, public: bytes) -> str:
    data = bytes([kind]) + public
    digest = hashlib.sha256(f"{name}\n".encode() + data).hexdigest()
    return f"{name}+{digest[:8]}+{base64.b64encode(data).decode()}"


def _policies() -> Iterator[Corner]:
    text = world.policy_of()
    lines = text.split("\n")
    data = world.bundle().data()
    west = world.WITNESSES["west"].verifier
    spaced = "a\u2003b"
    free = SignerKey("free.example", ED25519_COSIGNATURE, world.seed_of("free")).verifier.public
    wrong: dict[str, bytes | str] = {
        "a control character in a remark": f"# \x01\n{text}",
        "a carriage return": text.replace("\n", "\r\n"),
        "DEL": f"# \x7f\n{text}",
        "a remark that does not end": f"{text}# cut",
        "a key's name that is no UTF-8": text.encode() + b"witness free \xff" + _key("x", 4, free)[1:].encode() + b"\n",
        "a witness with a plain key": f"{text}witness free {_key('free', ED25519, free)}\n",
        "a witness twice": f"{text}witness free {_key('free', ED25519_COSIGNATURE, west.public)}\n",
        "a log twice": f"{text}log {_key('other', ED25519, world.LOG.verifier.public)}\n",
        "a name twice": f"{text}witness west {_key('free', ED25519_COSIGNATURE, free)}\n",
        "a group called as a witness": f"{text}group west any all-of-them\n",
        "a witness called none": f"{text}witness none {_key('free', ED25519_COSIGNATURE, free)}\n",
        "a group called none": f"{text}group none any all-of-them\n",
        "none in a group": text.replace("group all-of-them 2 north south west", "group all-of-them 1 north none"),
        "a member of two groups": text.replace("quorum", "group more any north\nquorum"),
        "a member twice": text.replace("north south west", "north south south"),
        "a member that comes later": "\n".join([lines[4], *lines[:4], *lines[5:]]),
        "a group without a member": text.replace("group all-of-them 2 north south west", "group all-of-them any"),
        "a group that needs more than it has": text.replace("group all-of-them 2", "group all-of-them 4"),
        "a group that needs nothing": text.replace("group all-of-them 2", "group all-of-them 0"),
        "a number with a zero before it": text.replace("group all-of-them 2", "group all-of-them 02"),
        "a number of many digits": text.replace("group all-of-them 2", "group all-of-them " + "9" * 5000),
        "no quorum": text.replace("quorum", "# quorum"),
        "two quorums": f"{text}quorum all-of-them\n",
        "a quorum of two names": text.replace("quorum all-of-them", "quorum all-of-them north"),
        "a quorum that nobody is": text.replace("quorum all-of-them", "quorum nobody"),
        "an unknown line": f"{text}notary west\n",
        "a log with two addresses": text.replace(lines[0], f"{lines[0]} https://a.example https://b.example"),
        "a remark behind a line": text.replace(lines[0], f"{lines[0]} https://a.example # here"),
        "an empty file": "",
        "a key of an unknown type": f"{text}log {_key('free', 2, free)}\n",
        "a key of another length": f"{text}log {_key('free', ED25519, free[:31])}\n",
        "a long key of Ed25519": f"{text}witness free {_key('free', ED25519_COSIGNATURE, free + b'x')}\n",
        "a short key of ML-DSA-44": f"{text}witness free {_key('free', ML_DSA_44, free)}\n",
        "a key of nothing": f"{text}log {_key('free', ED25519, b'')}\n",
        "a key of small order": f"{text}witness free {_key('free', ED25519_COSIGNATURE, bytes([1, *bytes(31)]))}\n",
        "a key that is no point": f"{text}witness free {_key('free', ED25519_COSIGNATURE, bytes([2, *bytes(31)]))}\n",
        "another key's id": text.replace(west.key_id.hex(), "00000000"),
        "a key's id in capitals": text.replace("+cc28b0e6+", "+CC28B0E6+"),
        "a key's name with a space of Unicode's": f"{text}log {_key(spaced, ED25519, free)}\n",
        "a key without a name": f"{text}log {_key('', ED25519, free)}\n",
    }
    for name, policy in wrong.items():
        own = policy if isinstance(policy, bytes) else policy.encode()
        yield Corner(name, "bad-policy", data, replace(PINNED, policy=own))
    right = {
        "tabs and spaces": text.replace(" ", " \t ").replace("\n", " \t\n"),
        "remarks and empty lines": f"# first\n\n  \t\n  # second\n{text}#\n",
        "addresses": "\n".join(f"{line} https://a.example/é" if line[:3] in {"log", "wit"} else line for line in lines),
        "no quorum asked for": text.replace("quorum all-of-them", "quorum none"),
        "one witness": text.replace("quorum all-of-them", "quorum south"),
        "a group in a group": text.replace("quorum all-of-them", "group outer all all-of-them\nquorum outer"),
        "names of any octets": text.replace("all-of-them", "é-\u2003"),
        "names that every object has": text.replace("all-of-them", "__proto__").replace(" north ", " constructor "),
    }
    for name, policy in right.items():
        yield Corner(name, "", data, replace(PINNED, policy=policy.encode()))
    missing = text.replace("quorum all-of-them", "quorum west")
    yield Corner("a witness that has not signed", "too-few-witnesses", data, replace(PINNED, policy=missing.encode()))
    yield Corner("a hint of a key that is none", "checkpoint-unsigned", *_hinted("x"))
    yield Corner(
        "a hint of a weak key", "checkpoint-unsigned", *_hinted(_key(world.ORIGIN, ED25519, bytes([1, *bytes(31)])))
    )
    yield Corner("a hint of another log", "checkpoint-unsigned", *_hinted(world.OTHER_LOG.verifier.text()))
    yield Corner("a hint as it should be", "", *_hinted(world.LOG.verifier.text()))


def _hinted(key: str) -> tuple[bytes, Trust]:
    value = json.loads(world.bundle().data())
    value["ledger"]["key"] = key
    return world.dumped(value), replace(PINNED, policy=b"quorum none\n")

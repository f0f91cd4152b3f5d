"""Adopted editions for comparing two verifiers: some that hold, each with one thing changed in its metadata.

What was changed is signed again by the whole board, and what names it by digest names it again, in most cases: a change
that nobody signed is refused by any verifier, whatever it is. The same ones each time: one seed.
"""

import copy
import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from securesystemslib.signer import Signer

import world
from commun.charter.canonical import canonical

NAMES = ("Ada", "Benoît", "Chloé", "Dara")
TIMES = ("2028-01-01T00:00:00Z", "2027-12-31T23:58:59Z", "2027-12-31T23:59:00Z", "2026-01-01T00:00:00Z", "0999-01-01T00:00:00Z", "1000-01-01T00:00:00Z", "2028-02-30T00:00:00Z", "2028-1-01T00:00:00Z", "2028-01-01T00:00:60Z", "2028-01-01T24:00:00Z", "2028-01-01T00:00:00+00:00", "0000-01-01T00:00:00Z", "2028-01-01T00:00:00z")  # fmt: skip
TEXTS = ("", "x", "ab" * 32, "AB" * 32, "1.0.31", "1.0", "1", "2.0.0", "1.0.0.0", "1.0.x", "1.²", "01.0", "root", "targets", "board.quorum", "é" * 2000, "\U0001f600" * 2001, "ed25519", "charter.toml", '\u2028\x7f"\\')  # fmt: skip
NUMBERS = (0, 1, 2, 3, 60, 1024, 1025, 262144, 262145, 9007199254740993, 9999999999999999, -1, True, False, None)
LEFT_OUT = object()


@dataclass(frozen=True, slots=True)
class Changed:
    """``digest``, ``first_root``: as the receipt names them."""

    number: int
    digest: str
    first_root: str
    began: datetime
    stale: bool
    files: Mapping[str, bytes]

    def predicate(self) -> dict[str, Any]:
        """As much of a statement as step 5 looks at."""
        charter = {"edition": self.number, "digest": self.digest, "first_root": self.first_root, "stale": self.stale}
        return {"charter": charter, "began": self.began.strftime("%Y-%m-%dT%H:%M:%SZ")}


def editions(seed: int, count: int) -> Iterator[Changed]:
    chance = random.Random(seed)
    third = world.charter_files(world.NEW_BOARD, purpose="Other.")
    bases = (
        world.first(),
        world.second(),
        world.adopt(third, world.second(), ("Ada", "Benoît"), new_root=False),
        world.adopt(world.charter_files(world.BOARD, guards=("Chloé",)), world.second(), NAMES),
    )
    for number in range(count):
        yield _changed(chance, bases[number % len(bases)], changes=number // 4 % 3)


def _changed(chance: random.Random, base: world.Edition, *, changes: int) -> Changed:
    documents = {name: json.loads(data) for name, data in base.documents.items() if name.startswith("metadata/")}
    files = {name: data for name, data in base.documents.items() if name.startswith("targets/")}
    if changes:
        _change_what_is_free(chance, documents, base.number)
    if changes > 1:
        document = documents[chance.choice(sorted(documents))]
        _change(chance, document if chance.random() < 0.15 else document["signed"])
    if chance.random() < 0.9:
        _bind(documents, base.number)
        _sign(documents, left_out=chance.choice((None, None, None, *NAMES)))
    if chance.random() < 0.15:
        _change_files(chance, files, base.number)
    digest, first = (
        _digest(documents.get(name)) for name in (f"metadata/{base.number}.targets.json", "metadata/1.root.json")
    )
    honest = chance.random() < 0.9
    return Changed(
        base.number,
        digest if honest else base.digest,
        first if honest else base.first_root,
        chance.choice((world.BEGAN, datetime(2028, 1, 1, 0, 1, tzinfo=UTC), datetime(2028, 1, 1, 0, 1, 1, tzinfo=UTC))),
        chance.random() < 0.2,
        {**files, **{name: _written(chance, document) for name, document in documents.items()}},
    )


def _change_what_is_free(chance: random.Random, documents: dict[str, Any], number: int) -> None:
    """Fields that no other has to agree with, and bounds within which they may be."""
    root = documents[chance.choice([name for name in documents if "root" in name])]["signed"]
    targets = documents[f"metadata/{number}.targets.json"]["signed"]
    extension = targets["x-commun"]
    holder, name, values = chance.choice(
        (
            (extension, "reason", TEXTS),
            (extension, "proposed", TIMES),
            (extension["base"], "edition", NUMBERS),
            (extension["base"], "digest", TEXTS),
            (root, "expires", TIMES),
            (chance.choice(list(documents.values()))["signed"], "spec_version", TEXTS),
            (root["x-commun"]["edition"], "number", NUMBERS),
            (root["x-commun"], "guards", (sorted(root["keys"]), sorted(root["keys"])[::-1], [])),
        )
    )
    holder[name] = copy.deepcopy(chance.choice(values))


def _change(chance: random.Random, value: Any) -> None:
    holder, name = _place(chance, value)
    kind = chance.random()
    if isinstance(holder, dict) and kind < 0.1:
        del holder[name]
    elif isinstance(holder, dict) and kind < 0.2:
        holder[chance.choice(("x", "__proto__", "x-commun", "delegations", "length", "hashes", "custom", "name"))] = (
            chance.choice((1, "x", {}))
        )
    elif isinstance(holder, dict) and kind < 0.26:
        holder[chance.choice(TEXTS)] = holder.pop(name)
    elif isinstance(holder, list) and kind < 0.3:
        chance.choice((lambda: holder.append(holder[name]), lambda: holder.pop(name), holder.reverse))()
    else:
        holder[name] = copy.deepcopy(chance.choice((*TIMES, *TEXTS, *NUMBERS, *NUMBERS, [], {}, [1], {"a": 1})))


def _place(chance: random.Random, value: Any) -> tuple[Any, Any]:
    while True:
        name = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
        if not isinstance(value[name], dict | list) or not value[name] or chance.random() < 0.1:
            return value, name
        value = value[name]


def _bind(documents: dict[str, Any], number: int) -> None:
    """What names the edition by its digest names the one that it has now."""
    targets = documents[f"metadata/{number}.targets.json"]
    now, before = _digest(targets), None
    snapshot = documents[f"metadata/{number}.snapshot.json"].get("signed")
    if isinstance(snapshot, dict) and isinstance(snapshot.get("x-commun"), dict):
        before = snapshot["x-commun"].get("targets")
    text = json.dumps(documents)
    if isinstance(before, str) and len(before) == 64:
        documents |= json.loads(text.replace(before, now))


def _sign(documents: dict[str, Any], *, left_out: str | None) -> None:
    signers: list[Signer] = [world.member(name) for name in NAMES if name != left_out]
    for document in documents.values():
        if (
            not isinstance(document, dict)
            or not isinstance(document.get("signatures"), list)
            or "signed" not in document
        ):
            continue
        payload = canonical(document["signed"])
        document["signatures"] = [
            {"keyid": one.public_key.keyid, "sig": one.sign(payload).signature} for one in signers
        ]


def _change_files(chance: random.Random, files: dict[str, bytes], number: int) -> None:
    name = chance.choice(sorted(files))
    match chance.randrange(5):
        case 0:
            files[name] += b" "
        case 1:
            del files[name]
        case 2:
            files[f"metadata/{number}.assents.json"] = chance.choice((b"", b"{}", b"\xff"))
        case 3:
            files[
                chance.choice(("metadata/9.root.json", f"metadata/{number + 1}.targets.json", f"targets/{'ab' * 32}.x"))
            ] = b"{}"
        case _:
            files[name] = files[name][:-1]


def _digest(document: Any) -> str:
    try:
        return hashlib.sha256(canonical(document["signed"])).hexdigest()
    except (KeyError, TypeError, ValueError):
        return "ab" * 32


def _written(chance: random.Random, document: Any) -> bytes:
    names = list(document)
    chance.shuffle(names)
    value = {name: document[name] for name in names} if isinstance(document, dict) else document
    text = json.dumps(value, indent=chance.choice((None, 1)), ensure_ascii=chance.random() < 0.5)
    if chance.random() < 0.05:
        text = text.replace(
            *chance.choice(
                (
                    (": 2", ": 2.0"),
                    (": 1", ": -0"),
                    (
                        "{",
                        "{ ",
                    ),
                    ("}", ",}"),
                    (": 1", ": 1e0"),
                    ('"signed"', '"\\u0073igned"'),
                )
            )
        )
    return text.encode()

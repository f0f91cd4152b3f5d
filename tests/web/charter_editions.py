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


# Of which document (targets, snapshot, timestamp, the newest root, the first one), where, and what instead.
Step = tuple[str, str, Any]
D = "ab" * 32
FILE = "targets/charter.toml"
ROLES = ("root", "targets", "snapshot", "timestamp")
EACH = ("T", "S", "M")
BOARD = sorted(world.member(name).public_key.keyid for name in world.BOARD)
TWO = hashlib.sha256(b"2").hexdigest()  # the clause “board.quorum” of a quorum of two


def steps() -> Iterator[list[Step]]:
    """Each rule of the metadata broken, or just not broken, alone."""
    for alias, way, values in (
        ("T", "x-commun/format", ("commun-edition/2", LEFT_OUT, 1)),
        ("T", "x-commun/root", (1, 2, 3, 4, 0, True, "1")),
        ("T", "x-commun/edition", (1, 2, 3, True, "1")),
        ("T", "version", (1, 2, 3, True)),
        ("T", "x-commun/base", ({"edition": 0, "digest": "", "x": 1}, {"edition": 1}, [], "x")),
        ("T", "x-commun/base/edition", (0, 1, 7, -1, 9999999999999999, True, "0")),
        ("T", "x-commun/base/digest", ("", D, D[1:], 1, None)),
        ("T", "x-commun/reason", ("", "x" * 2000, "\U0001f600" * 2001, 1, None, LEFT_OUT)),
        ("T", "x-commun/proposed", (*TIMES, 1)),
        ("T", "x-commun/x", (1,)),
        ("T", "targets", ([], {}, None, 1)),
        ("T", f"{FILE}/length", (0, 1, 262145, -1, True, "1", LEFT_OUT)),
        ("T", f"{FILE}/hashes", ({"sha256": D}, {"sha512": D}, {}, D)),
        ("T", f"{FILE}/custom", ({},)),
        ("T", "targets/README", ({"length": 0, "hashes": {"sha256": D}},)),
        ("T", "delegations", ({},)),
        ("R", "version", (1, 2, 3, 9, 0, True)),
        ("R", "consistent_snapshot", (False, 1, LEFT_OUT)),
        ("R", "x-commun/format", ("commun-root/2", LEFT_OUT)),
        ("R", "x-commun/edition/number", (0, 1, 2, 3, 4, True)),
        ("R", "x-commun/edition/digest", (D, "", 1)),
        ("R", "x-commun/quorum", (1, 3, True, "2")),
        ("R", "x-commun/entrenched", ({}, {"retention": D}, {"name": D}, {"x": D}, {"retention": "x"}, [])),
        ("R", "x-commun/guards", ([], [D], "x", [1])),
        ("R", "x-commun/x", (1,)),
        ("F", "x-commun/edition", ({"number": 1, "digest": D, "x": 1}, {"number": 1}, [])),
        ("F", "x-commun/edition/number", (0, -1, 1, 2, True, "1")),
        ("F", "x-commun/edition/digest", (D, "", D.upper(), 1)),
        (
            "F",
            "x-commun/entrenched",
            ({"x": D}, {"name": D}, {"retention": "x"}, [], "", {"board.quorum": D}, {"board.quorum": TWO}),
        ),
        ("F", "roles/targets/keyids", (BOARD, BOARD[::-1], BOARD[:2], [D, *BOARD[1:]])),
        ("F", "roles/targets/threshold", (1, 2, 3)),
        ("F", "x-commun/guards", ([], BOARD, BOARD[::-1], [BOARD[0], BOARD[0]], BOARD[:1], [D], [*BOARD, 1], "")),
        ("R", "roles/root/threshold", (1, 3, 0, 4, True, "2")),
        ("R", "roles/targets/threshold", (1, 3)),
        ("R", "roles/root/x", (1,)),
        ("R", "roles/mirrors", ({"keyids": [D], "threshold": 1},)),
        ("R", f"keys/{D}", ({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": D}}, 1)),
        ("S", "meta/targets.json/version", (1, 2, 3, True, "1")),
        ("S", "meta/targets.json/length", (1,)),
        ("S", "meta/x.json", ({"version": 1},)),
        ("M", "meta/snapshot.json/version", (1, 2, 3, True, "1")),
        ("M", "meta/snapshot.json/hashes", ({"sha256": D},)),
        ("M", "meta/x.json", ({"version": 1},)),
    ):
        yield from ([(alias, way, value)] for value in values)
    for alias in ("T", "S", "M", "R", "F"):
        yield from ([(alias, "expires", time)] for time in (*TIMES, 1, None))
        yield from (
            [(alias, "spec_version", text)] for text in ("1.0", "1", "2.0.0", "1.0.0.0", "1.0.x", "1.²", "01.0", 1)
        )
        yield from ([(alias, "_type", text)] for text in ("targets", "root", "x"))
        yield [(alias, "x-commun/targets", D)]
    for time in TIMES:
        yield [(alias, "expires", time) for alias in EACH]
    for threshold in (0, 1, 2, 3, 4, "2", True):
        roles: list[Step] = [("R", f"roles/{role}/threshold", threshold) for role in ROLES]
        yield [*roles, ("R", "x-commun/quorum", threshold)]
    for entrenched in ({}, {"retention": D}, {"name": D}):
        yield [("R", "x-commun/entrenched", entrenched), ("R", "x-commun/guards", [])]
    for role in ROLES:
        yield [("R", f"roles/{role}/keyids", [])]


def changed_by(steps: list[Step], base: world.Edition) -> Changed:
    documents, files = _parts(base)
    names = {"T": "targets", "S": "snapshot", "M": "timestamp"}
    for alias, way, value in steps:
        name = f"{base.number}.{names[alias]}" if alias in names else f"{len(base.roots) if alias == 'R' else 1}.root"
        *parts, last = way.split("/") if FILE not in way else ("targets", "charter.toml", way.rpartition("/")[2])
        holder = documents[f"metadata/{name}.json"]["signed"]
        for part in parts:
            holder = holder[part]
        holder[last] = copy.deepcopy(value)
        if value is LEFT_OUT:
            del holder[last]
    _bind(documents, base.number)
    _sign(documents, left_out=None)
    targets, first = (
        _digest(documents[f"metadata/{base.number}.targets.json"]),
        _digest(documents["metadata/1.root.json"]),
    )
    written = {name: json.dumps(document).encode() for name, document in documents.items()}
    return Changed(base.number, targets, first, world.BEGAN, False, {**files, **written})


def bases() -> tuple[world.Edition, ...]:
    """The first edition; one with its own root; one under an older root; one whose root has other guards."""
    third = world.charter_files(world.NEW_BOARD, purpose="Other.")
    return (
        world.first(),
        world.second(),
        world.adopt(third, world.second(), ("Ada", "Benoît"), new_root=False),
        world.adopt(world.charter_files(world.BOARD, guards=("Chloé",)), world.second(), NAMES),
    )


def _parts(base: world.Edition) -> tuple[dict[str, Any], dict[str, bytes]]:
    documents = {name: json.loads(data) for name, data in base.documents.items() if name.startswith("metadata/")}
    return documents, {name: data for name, data in base.documents.items() if name.startswith("targets/")}


def mismatches() -> Iterator[Changed]:
    """Charters whose root is another charter's: signed by everybody, and bound to the edition."""
    own = world.charter_files(world.BOARD)
    others = (
        world.charter_files(world.BOARD, quorum=3),
        world.charter_files(world.NEW_BOARD),
        world.charter_files(world.BOARD[:2]),
        world.charter_files(world.BOARD, guards=("Benoît",)),
        world.charter_files(world.BOARD, until="2027-12-30"),
        world.charter_files(world.BOARD, purpose="Else."),
        {**own, "charter.toml": own["charter.toml"].replace(b"days = 0", b"days = 1")},
        {**own, "charter.toml": own["charter.toml"].replace(b'["retention"]', b'["retention", "name"]')},
        {**own, "charter.toml": own["charter.toml"].replace(b'["retention"]', b'["name"]')},
        {**own, "charter.toml": own["charter.toml"].replace(b'["retention"]', b"[]")},
    )
    for files in others:
        base = world.adopt(files, None, NAMES)
        documents, bytes_of = _parts(base)
        root = json.loads(world.first().documents["metadata/1.root.json"])
        root["signed"]["x-commun"]["edition"]["digest"] = base.digest
        documents["metadata/1.root.json"] = root
        _sign(documents, left_out=None)
        written = {name: json.dumps(document).encode() for name, document in documents.items()}
        yield Changed(1, base.digest, _digest(root), world.BEGAN, False, {**bytes_of, **written})


def framings() -> Iterator[Changed]:
    """What is not signed: how long a file is, what stands beside ``signed``, how signatures are written."""
    base = world.second()
    documents, files = _parts(base)
    bounds = {"2.root": 512_000, "2.targets": 1_000_000, "2.snapshot": 1_000_000, "2.timestamp": 16_384}
    for name, bound in bounds.items():
        document = documents[f"metadata/{name}.json"]
        one, *more = document["signatures"]
        texts = [json.dumps(document).ljust(bound + beyond) for beyond in (0, 1)]
        lists: tuple[Any, ...] = (
            *([one, one, *more], {one["keyid"]: one["sig"]}, [], more, [one, *more, {"keyid": D, "sig": "00"}], None),
            *(
                [{**one, **change}, *more]
                for change in ({"sig": ""}, {"sig": one["sig"].upper()}, {"sig": "0"}, {"x": 1})
            ),
            *([{**one, **change}, *more] for change in ({"keyid": one["keyid"].upper()}, {"keyid": D}, {"sig": None})),
        )
        texts += [json.dumps({**document, "signatures": each}) for each in lists]
        texts += [json.dumps({**document, "x": 1}), json.dumps({"signed": document["signed"]}), json.dumps([document])]
        for text in texts:
            written = {name: json.dumps(each).encode() for name, each in documents.items()}
            written[f"metadata/{name}.json"] = text.encode()
            yield Changed(2, base.digest, base.first_root, world.BEGAN, False, {**files, **written})


def editions(seed: int, count: int) -> Iterator[Changed]:
    chance = random.Random(seed)
    unguarded = world.charter_files(world.BOARD, guards=())
    unguarded["charter.toml"] = unguarded["charter.toml"].replace(b'clauses = ["retention"]', b"clauses = []")
    some = (*bases(), world.adopt(unguarded, None, world.BOARD))
    for number in range(count):
        yield _changed(chance, some[number % len(some)], changes=number // 4 % 3)


def _changed(chance: random.Random, base: world.Edition, *, changes: int) -> Changed:
    documents, files = _parts(base)
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

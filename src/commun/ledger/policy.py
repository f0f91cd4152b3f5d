"""Trust policies: which logs, which witnesses, and how many of them make a checkpoint worth believing.

Specification (C2SP tlog-policy, "Policy file syntax and structure"):

- lines of ``log VKEY [URL]``, ``witness NAME VKEY [URL]``, ``group NAME all|any|K MEMBER…`` and, exactly once,
  ``quorum NAME|none``; parts are separated by spaces and tabs, ``#`` begins a line that is a remark;
- every line ends in a newline, the last one too: a policy that was cut is refused, not read as a weaker one;
- octets 0x09, 0x0A, 0x20 to 0x7E and 0x80 to 0xFF only. Names of witnesses and groups are opaque octets, of one space,
  and ``none`` is nobody's;
- a group and the quorum name what stands above them; a name is a member of one group at most, so that each witness
  counts in one way; 1 ≤ K ≤ number of members, in decimal digits without leading zeroes;
- no two logs and no two witnesses share a public key, whatever their names;
- a log's key may be of any type known here and is called like its log's origin; a witness's is of type 0x04 or 0x06.

``check`` accepts a checkpoint if a log of the policy has signed it under its own origin and the quorum's witnesses have
cosigned it. A line counts as a witness's only if its time is not zero: zero states nothing about when, nor (type 0x06)
that this was the largest tree seen. One wrong signature of a known key refuses it all. How old a cosignature may be is
for callers with a clock.

Raises BadPolicy with the line; ``check`` raises what ``open_checkpoint`` does, and TooFewWitnesses.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from commun.ledger.checkpoint import read_number
from commun.ledger.cosignature import SignedCheckpoint, open_checkpoint
from commun.ledger.errors import BadLogKey, BadPolicy, TooFewWitnesses
from commun.ledger.keys import ED25519, VerifierKey

MAX_POLICY_BYTES: Final = 1_000_000
# The specification asks for 32 of each at least.
MAX_LOGS: Final = 64
MAX_WITNESSES: Final = 256
MAX_GROUPS: Final = 256
NONE: Final = b"none"
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Log:
    key: VerifierKey
    url: bytes | None


@dataclass(frozen=True, slots=True)
class Witness:
    """``name`` counts inside the policy only; ``key.name`` stands in the signature line."""

    name: bytes
    key: VerifierKey
    url: bytes | None


@dataclass(frozen=True, slots=True)
class Group:
    """Fulfilled when ``needed`` of its members are."""

    name: bytes
    needed: int
    members: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a witness (no members; 1 needed) or a group has come. ``name``: printable, for people."""

    name: str
    have: int
    needed: int
    members: tuple["Standing", ...] = ()

    @property
    def fulfilled(self) -> bool:
        return self.have >= self.needed

    def missing(self) -> tuple[str, ...]:
        """The witnesses that have not signed and of whom one more would help."""
        names: list[str] = []
        waiting = [self]
        while waiting:
            standing = waiting.pop()
            if not standing.fulfilled:
                names.extend(() if standing.members else (standing.name,))
                waiting.extend(reversed(standing.members))
        return tuple(names)


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A checkpoint that the policy accepts."""

    signed: SignedCheckpoint
    standing: Standing


@dataclass(frozen=True, slots=True)
class Policy:
    """Read from its text, so checked. ``groups`` stand in the order in which they may be computed; ``quorum`` None: no
    witness is asked for.
    """

    logs: tuple[Log, ...]
    witnesses: tuple[Witness, ...]
    groups: tuple[Group, ...]
    quorum: bytes | None

    @classmethod
    def from_bytes(cls, data: bytes) -> "Policy":
        return _Reader().read(data)

    def data(self) -> bytes:
        """What ``from_bytes`` reads."""
        lines = [_line(b"log", item.key.text().encode(), item.url) for item in self.logs]
        lines += [_line(b"witness", item.name, item.key.text().encode(), item.url) for item in self.witnesses]
        lines += [_line(b"group", item.name, b"%d" % item.needed, *item.members) for item in self.groups]
        return b"".join((*lines, _line(b"quorum", self.quorum or NONE)))

    def standing(self, signed: Collection[VerifierKey]) -> Standing:
        """``signed``: the keys whose cosignatures are verified and have a time; any but the policy's do not count."""
        found = {item.name: Standing(_shown(item.name), int(item.key in signed), 1) for item in self.witnesses}
        for group in self.groups:
            members = tuple(found[name] for name in group.members)
            have = sum(member.fulfilled for member in members)
            found[group.name] = Standing(_shown(group.name), have, group.needed, members)
        return Standing("none", 0, 0) if self.quorum is None else found[self.quorum]

    def check(self, data: bytes, *, logs: Sequence[VerifierKey] = ()) -> Witnessed:
        """``data``: a checkpoint with its signatures. ``logs``: known from elsewhere, beside the policy's own."""
        own = tuple(item.key for item in self.logs)
        signed = open_checkpoint(
            data, log=(*own, *(key for key in logs if key not in own)), others=[item.key for item in self.witnesses]
        )
        keys = signed.dated
        standing = self.standing(keys)
        if not standing.fulfilled:
            count = sum(item.key in keys for item in self.witnesses)
            raise TooFewWitnesses(standing, signed=count, missing=", ".join(standing.missing()))
        return Witnessed(signed, standing)


def policy_naming(key: VerifierKey, clause: str, *, url: str = "") -> bytes:
    """What a reader of one ledger needs: a policy that names its key as the only log's, with the witnesses, groups and
    quorum of a charter's clause. ``clause``: a policy without its last newline, or ""; ``url``: the ledger's, if known.
    """
    asked = Policy.from_bytes(f"{clause}\n".encode()) if clause else Policy((), (), (), None)
    made = Policy((Log(key, url.encode() or None),), asked.witnesses, asked.groups, asked.quorum).data()
    Policy.from_bytes(made)  # an address of two words, or a key's name, could make it another
    return made


def _line(*parts: bytes | None) -> bytes:
    return b" ".join(part for part in parts if part is not None) + b"\n"


class _Reader:
    """One reading of one policy; what has been defined so far."""

    def __init__(self) -> None:
        self.logs: dict[bytes, Log] = {}  # by public key, as are witnesses
        self.witnesses: dict[bytes, Witness] = {}
        self.groups: list[Group] = []
        self.names: set[bytes] = set()
        self.members: set[bytes] = set()
        self.quorum: bytes | None = None

    def read(self, data: bytes) -> Policy:
        if len(data) > MAX_POLICY_BYTES:
            raise BadPolicy(line=0, reason="it is longer than its bound")
        control = _CONTROL.search(data)
        if control:
            raise BadPolicy(line=1 + data.count(b"\n", 0, control.start()), reason="it has a control character")
        *lines, rest = data.split(b"\n")
        if rest:
            raise BadPolicy(line=len(lines) + 1, reason="it does not end in a newline, so it may have been cut")
        for number, line in enumerate(lines, start=1):
            parts = line.split()
            if parts and not parts[0].startswith(b"#"):
                self._read_line(number, parts)
        if self.quorum is None:
            raise BadPolicy(line=0, reason="it has no quorum line")
        quorum = None if self.quorum == NONE else self.quorum
        return Policy(tuple(self.logs.values()), tuple(self.witnesses.values()), tuple(self.groups), quorum)

    def _read_line(self, line: int, parts: Sequence[bytes]) -> None:
        match parts:
            case [b"log", text, *url] if len(url) <= 1:
                self._add_log(line, text, *url)
            case [b"witness", name, text, *url] if len(url) <= 1:
                self._add_witness(line, name, text, *url)
            case [b"group", name, threshold, *members] if members:
                self._add_group(line, name, threshold, members)
            case [b"quorum", name]:
                self._set_quorum(line, name)
            case [b"log" | b"witness" | b"group" | b"quorum", *_]:
                raise BadPolicy(line=line, reason="it has too many parts, or too few")
            case _:
                raise BadPolicy(line=line, reason="it begins with none of log, witness, group and quorum")

    def _add_log(self, line: int, text: bytes, url: bytes | None = None) -> None:
        key = _read_key(line, text)
        if key.public in self.logs:
            raise BadPolicy(line=line, reason="a log with this public key stands above")
        if len(self.logs) == MAX_LOGS:
            raise BadPolicy(line=line, reason="there are too many logs")
        self.logs[key.public] = Log(key, url)

    def _add_witness(self, line: int, name: bytes, text: bytes, url: bytes | None = None) -> None:
        key = _read_key(line, text)
        if key.kind == ED25519:
            raise BadPolicy(line=line, reason="a witness's key has type 0x04 or 0x06")
        if key.public in self.witnesses:
            raise BadPolicy(line=line, reason="a witness with this public key stands above")
        if len(self.witnesses) == MAX_WITNESSES:
            raise BadPolicy(line=line, reason="there are too many witnesses")
        self._define(line, name)
        self.witnesses[key.public] = Witness(name, key, url)

    def _add_group(self, line: int, name: bytes, threshold: bytes, members: Sequence[bytes]) -> None:
        for member in members:
            if member not in self.names:
                raise BadPolicy(line=line, reason="a member is not defined above")
            if member in self.members:
                raise BadPolicy(line=line, reason="a member stands in a group already")
            self.members.add(member)
        self._define(line, name)
        if len(self.groups) == MAX_GROUPS:
            raise BadPolicy(line=line, reason="there are too many groups")
        needed = {b"all": len(members), b"any": 1}.get(threshold) or read_number(threshold.decode("latin-1"))
        if needed is None or not 1 <= needed <= len(members):
            raise BadPolicy(line=line, reason="how many are needed is not all, any or a number from 1 to its members")
        self.groups.append(Group(name, needed, tuple(members)))

    def _set_quorum(self, line: int, name: bytes) -> None:
        if self.quorum is not None:
            raise BadPolicy(line=line, reason="there is a quorum line already")
        if name != NONE and name not in self.names:
            raise BadPolicy(line=line, reason="the quorum is not defined above")
        self.quorum = name

    def _define(self, line: int, name: bytes) -> None:
        if name == NONE or name in self.names:
            raise BadPolicy(line=line, reason="its name is taken")
        self.names.add(name)


def _read_key(line: int, text: bytes) -> VerifierKey:
    try:
        return VerifierKey.from_text(text.decode())
    except UnicodeDecodeError:
        raise BadPolicy(line=line, reason="its key's name is not UTF-8") from None
    except BadLogKey as error:
        raise BadPolicy(line=line, reason=error.details["reason"]) from None


def _shown(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")

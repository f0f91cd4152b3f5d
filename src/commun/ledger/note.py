"""Signed notes: a text and the lines of those who signed it.

Specification (C2SP signed-note v1.0.0, "Format" and "Signatures"):

- a text that ends in a newline, an empty line, one signature line or more: em dash, space, key name, space, base64 of
  the key id and the signature, newline. The last empty line separates text and signatures;
- UTF-8, and no control character below U+0020 but newline;
- a signature is by the key whose name *and* key id it carries. Lines of unknown keys are ignored, also where they share
  one of the two with a known key;
- every line of a known key is verified, and one that does not verify refuses the whole note; so does a note that no
  known key has signed;
- the message of type 0x01 is the text. The messages of cosignatures are ``cosignature.py``'s: a ``Verifier`` knows.

Bounds: MAX_NOTE_BYTES and MAX_SIGNATURES are Go's (golang.org/x/mod/sumdb/note); the specification wants 16 at least.
Signatures of fewer than five bytes are refused, and base64 in any form but the canonical one: a note has one writing.

Raises BadNote, NotSigned, WrongSignature, and BadLogKey where two known keys share name and key id (nobody could say
which is meant). Nothing of a note may be used before ``verified`` has returned.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from commun.ledger.errors import BadLogKey, BadNote, NotSigned
from commun.ledger.keys import ED25519, KEY_ID_BYTES, SignerKey, VerifierKey, from_base64, is_name, to_base64

MAX_NOTE_BYTES: Final = 1_000_000
MAX_SIGNATURES: Final = 100
_DASH: Final = "\N{EM DASH} "
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True, slots=True)
class Signature:
    """One line; ``value`` is what follows the key id."""

    name: str
    key_id: bytes
    value: bytes

    def line(self) -> str:
        return f"{_DASH}{self.name} {to_base64(self.key_id + self.value)}\n"


class Verifier(Protocol):
    """A known key and the message that its type signs."""

    @property
    def key(self) -> VerifierKey: ...

    def check(self, text: str, value: bytes) -> None:
        """Raises WrongSignature, or another LedgerError for a text that its type cannot sign."""


@dataclass(frozen=True, slots=True)
class NoteVerifier:
    """Type 0x01: the text itself is signed."""

    key: VerifierKey

    def __post_init__(self) -> None:
        if self.key.kind != ED25519:
            raise BadLogKey(reason="a key of another type than 0x01 signs no plain notes")

    def check(self, text: str, value: bytes) -> None:
        self.key.check_raw(value, text.encode())


@dataclass(frozen=True, slots=True)
class Note:
    """``text`` ends in a newline. Making one checks its form, not its signatures."""

    text: str
    signatures: tuple[Signature, ...]

    def __post_init__(self) -> None:
        check_text(self.text)
        if not self.signatures:
            raise BadNote(reason="it has no signature line")
        if len(self.signatures) > MAX_SIGNATURES:
            raise BadNote(reason="it has too many signature lines")
        for signature in self.signatures:
            _check_signature(signature)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Note":
        if len(data) > MAX_NOTE_BYTES:
            raise BadNote(reason="it is longer than its bound")
        try:
            whole = data.decode()
        except UnicodeDecodeError:
            raise BadNote(reason="it is not UTF-8") from None
        text, separator, lines = whole.rpartition("\n\n")
        if not separator or not lines.endswith("\n"):
            raise BadNote(reason="it does not end in an empty line and signature lines")
        return cls(text + "\n", read_signature_lines(lines))

    def data(self) -> bytes:
        return (self.text + "\n" + self.signature_lines()).encode()

    def signature_lines(self) -> str:
        return "".join(signature.line() for signature in self.signatures)

    def with_signatures(self, signatures: Iterable[Signature]) -> "Note":
        """The same text, these lines added; a line of the same key and name takes the place of the older one."""
        added = {(item.name, item.key_id): item for item in signatures}
        kept = tuple(item for item in self.signatures if (item.name, item.key_id) not in added)
        return replace(self, signatures=kept + tuple(added.values()))

    def verified(self, verifiers: Sequence[Verifier]) -> tuple[Signature, ...]:
        """The lines of known keys, each verified; at least one."""
        known: dict[tuple[str, bytes], list[Verifier]] = {}
        for verifier in verifiers:
            known.setdefault((verifier.key.name, verifier.key.key_id), []).append(verifier)
        found = []
        for signature in self.signatures:
            candidates = known.get((signature.name, signature.key_id), [])
            if len(candidates) > 1:
                raise BadLogKey(reason="two known keys share a name and a key id")
            for verifier in candidates:
                verifier.check(self.text, signature.value)
                found.append(signature)
        if not found:
            raise NotSigned
        return tuple(found)


def sign_note(text: str, key: SignerKey) -> Signature:
    """A line of type 0x01 below ``text``."""
    NoteVerifier(key.verifier)
    check_text(text)
    return Signature(key.name, key.verifier.key_id, key.sign_raw(text.encode()))


def read_signature_lines(lines: str) -> tuple[Signature, ...]:
    """One line or more, each with its newline: also what a witness answers. Raises BadNote."""
    if not lines.endswith("\n"):
        raise BadNote(reason="a signature line has no end")
    split = lines[:-1].split("\n", MAX_SIGNATURES)
    if len(split) > MAX_SIGNATURES:
        raise BadNote(reason="it has too many signature lines")
    return tuple(map(_read_line, split))


def check_text(text: str) -> None:
    """Raises BadNote unless a note can carry it."""
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        raise BadNote(reason="it is not Unicode") from None
    if length > MAX_NOTE_BYTES:
        raise BadNote(reason="it is longer than its bound")
    if not text.endswith("\n"):
        raise BadNote(reason="its text does not end in a newline")
    if _CONTROL.search(text):
        raise BadNote(reason="it has a control character")


def _read_line(line: str) -> Signature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    value = from_base64(encoded)
    if not line.startswith(_DASH) or not space or value is None:
        raise BadNote(reason="a signature line is not an em dash, a name and base64")
    signature = Signature(name, value[:KEY_ID_BYTES], value[KEY_ID_BYTES:])
    _check_signature(signature)
    return signature


def _check_signature(signature: Signature) -> None:
    if not is_name(signature.name):
        raise BadNote(reason="a name in a signature line has a space, a plus or a control character, or is empty")
    if len(signature.key_id) != KEY_ID_BYTES or not signature.value:
        raise BadNote(reason="a signature line has no signature")

"""A small world to make receipts in, the same bytes each time: a board, two editions, a ledger with its witnesses, a
receipt key. Every key's seed is SHA-256 of "commun test vector, not a secret: " and its name.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata

from commun.charter.canonical import digest_of
from commun.charter.keys import text_of_key
from commun.charter.repository import root_name, snapshot_name, target_name, targets_name, timestamp_name
from commun.charter.roles import make_root, make_snapshot, make_targets, make_timestamp
from commun.charter.source import read_charter
from commun.ledger.checkpoint import Checkpoint
from commun.ledger.cosignature import CosignatureVerifier, sign_checkpoint, time_of
from commun.ledger.entries import EditionStatement, ReceiptStatement, SoftwareStatement
from commun.ledger.keys import ED25519, ED25519_COSIGNATURE, ML_DSA_44, SignerKey
from commun.ledger.merkle import leaf_hash, prove_inclusion, root_of_leaves
from commun.ledger.note import Note, Signature
from commun.ledger.proof import LogProof
from commun.receipts.bundle import Bundle, Logged, LoggedEntry
from commun.receipts.commitments import FIELDS, Values
from commun.receipts.dsse import ReceiptSigner
from commun.receipts.issue import Receipt, issue
from commun.receipts.statement import (
    OPENVINO_SAMPLER,
    CharterUsed,
    ContextUsed,
    EngineUsed,
    Sampler,
    Scheme,
    Seed,
    State,
    Statement,
    receipt_id,
)

ORIGIN = "ledger.example.org/commun"
VECTORS = Path(__file__).parents[1] / "vectors" / "receipts"
QUANTUM = VECTORS / "broken" / "cosigned-without-a-time-by-ml-dsa.bundle.json"
PROPOSED = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
BEGAN = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
ENDED = BEGAN + timedelta(seconds=4)
CONFIRMED = int(ENDED.timestamp()) + 2


def seed_of(name: str) -> bytes:
    return hashlib.sha256(f"commun test vector, not a secret: {name}".encode()).digest()


@cache
def member(name: str) -> CryptoSigner:
    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(seed_of(f"member {name}")))


LOG = SignerKey(ORIGIN, ED25519, seed_of("receipts log"))
OTHER_LOG = SignerKey("other.example.org/log", ED25519, seed_of("receipts other log"))
WITNESSES = {
    name: SignerKey(f"{name}.example.org", ED25519_COSIGNATURE, seed_of(f"receipts witness {name}"))
    for name in ("north", "south", "west")
}
WITNESSES["quantum"] = SignerKey("quantum.example.org", ML_DSA_44, seed_of("receipts witness quantum"))
SIGNER = ReceiptSigner(seed_of("receipt key"))
OTHER_SIGNER = ReceiptSigner(seed_of("another receipt key"))
SALTS = {name: seed_of(f"salt {name}") for name in FIELDS}


def policy_of(log: SignerKey = LOG, *, needed: str = "2", names: Sequence[str] = ("north", "south", "west")) -> str:
    lines = [f"log {log.verifier.text()}"]
    lines += [f"witness {name} {WITNESSES[name].verifier.text()}" for name in names]
    lines += [f"group all-of-them {needed} {' '.join(names)}", "quorum all-of-them"]
    return "\n".join(lines) + "\n"


def charter_files(
    names: Sequence[str],
    *,
    purpose: str = "To help.",
    policy: str | None = None,
    until: str = "2027-12-31",
    quorum: int = 2,
    guards: Sequence[str] = ("Ada",),
    callers: str = "true",
    hold: str = "",
    entrenched: str = "retention",
) -> dict[str, bytes]:
    """``hold``: what stands behind ``hold_until =``; "": none."""
    board = "\n".join(f'[[board.members]]\nname = "{n}"\nkey = "{text_of_key(member(n).public_key)}"' for n in names)
    listed = ", ".join(f'"{name}"' for name in guards)
    charter = f'''format = "commun-charter/1"
name = "Town hall"
[purpose]
en = "{purpose}"
fr = "Aider."
[mandate]
until = {until}
[board]
quorum = {quorum}
{board}
[entrenched]
clauses = ["{entrenched}"]
guards = [{listed}]
[prompts]
language = "en"
persona = ""
[models]
default = "small"
[sampling]
profile = "exact"
caller_seed = {callers}
temperature = {{ default = 0.7, least = 0, most = 1.5 }}
top_p = {{ default = 0.95, least = 0.1, most = 1 }}
max_tokens = {{ default = 1024, least = 1, most = 8192 }}
[context]
policy = "oldest-turns-first"
answer_reserve = 512
most_tokens = 8192
[callers]
system_messages = {callers}
plain_completions = {callers}
structured_output = {callers}
stop_strings = {callers}
ignore_eos = false
[retention]
days = 0{f"{chr(10)}hold_until = {hold}" if hold else ""}
[temporary]
rule = "offered"
[disclosure]
en = "This is an AI."
fr = "Ceci est une IA."
[sources]
allowed = []
[tools]
allowed = []
[software]
least = "0.1"
below = "1.0"
[witnesses]
policy = """
{policy_of() if policy is None else policy}"""
[[personas]]
id = "clown"
[personas.name]
en = "Clown"
fr = "Clown"
[personas.about]
en = "Funny."
fr = "Drôle."
'''
    small = f"""id = "small"
name = "Small"
family = "llama"
context_length = 8192
format = "gguf-converted"
licence = "Apache-2.0"
source = "https://models.example/small"
training_summary = ""
digest = "2e52e0bd2697039eb78784db49ca121ac4313dea28fd9dfbc216526f18cbc089"
[[files]]
path = "small.gguf"
size = 1234
sha256 = "{"cd" * 32}"
[converted]
"2026.4.1.0" = "{"ef" * 32}"
"""
    far = """id = "far"
name = "Far away"
family = "unknown"
context_length = 8192
format = "remote"
licence = "unknown"
source = "https://models.example/far"
training_summary = ""
url = "https://models.example/v1"
remote_model = "far"
"""
    return {
        "charter.toml": charter.encode(),
        "prompts/system.en.md": b"You answer briefly.",
        "prompts/system.fr.md": "Vous répondez brièvement.".encode(),
        "prompts/clown.en.md": b"You are funny.",
        "prompts/clown.fr.md": "Vous êtes drôle.".encode(),
        "models/small.toml": small.encode(),
        "models/far.toml": far.encode(),
    }


@dataclass
class Edition:
    """``roots``: all up to its own. ``documents``: what a bundle carries."""

    number: int
    digest: str
    roots: list[Metadata[Any]]
    documents: dict[str, bytes]

    @property
    def first_root(self) -> str:
        return digest_of(self.roots[0].signed_bytes)


def adopt(
    files: Mapping[str, bytes],
    base: Edition | None,
    signers: Sequence[str],
    *,
    root_signers: Sequence[str] | None = None,
    new_root: bool = True,
    meant: Mapping[str, bytes] | None = None,
) -> Edition:
    """Signed by whoever is named, whether that is enough or not. ``meant``: the charter that the metadata is made for,
    where the files that are signed are none.
    """
    charter = read_charter(files if meant is None else meant)
    number = 1 if base is None else base.number + 1
    version = (len(base.roots) if base else 0) + int(new_root)
    targets = Metadata(
        make_targets(
            charter,
            files,
            number=number,
            root=version,
            base={"edition": number - 1, "digest": "" if base is None else base.digest},
            reason="Because.",
            proposed=PROPOSED,
        )
    )
    digest = digest_of(targets.signed_bytes)
    roots = list(base.roots) if base else []
    if new_root:
        root = Metadata(make_root(charter, version=version, edition=number, digest=digest))
        for name in root_signers or signers:
            root.sign(member(name), append=True)
        roots.append(root)
    snapshot = Metadata(make_snapshot(charter, number=number, digest=digest))
    timestamp = Metadata(make_timestamp(charter, number=number, digest=digest))
    for metadata in (targets, snapshot, timestamp):
        for name in signers:
            metadata.sign(member(name), append=True)
    documents = {
        targets_name(number): targets.to_bytes(),
        snapshot_name(number): snapshot.to_bytes(),
        timestamp_name(number): timestamp.to_bytes(),
    }
    documents |= {root_name(at): root.to_bytes() for at, root in enumerate(roots, start=1)}
    documents |= {target_name(path, digest_of(data)): data for path, data in files.items()}
    return Edition(number, digest, roots, documents)


BOARD = ("Ada", "Benoît", "Chloé")
NEW_BOARD = ("Ada", "Benoît", "Dara")  # Chloé's key was withdrawn


@cache
def first() -> Edition:
    return adopt(charter_files(BOARD), None, BOARD)


@cache
def second() -> Edition:
    """Of the new board; Ada, who guards the entrenched clause, and a quorum of both boards have signed."""
    return adopt(charter_files(NEW_BOARD), first(), ("Ada", "Benoît"), root_signers=("Ada", "Benoît", "Dara"))


@dataclass
class _Nodes:
    leaves: Sequence[bytes]

    def read_nodes(self, nodes: Sequence[Any]) -> list[bytes]:
        return [root_of_leaves(self.leaves[n.index << n.level : (n.index + 1) << n.level]) for n in nodes]


@cache
def cosigned(head: Checkpoint, name: str, time: int) -> Signature:
    """ML-DSA-44 draws at random, so its published line is used again where it is of this head."""
    witness = WITNESSES[name]
    if witness.kind == ML_DSA_44 and QUANTUM.is_file():
        proof = LogProof.from_bytes(json.loads(QUANTUM.read_bytes())["ledger"]["receipt"].encode())
        for line in proof.note.signatures:
            if proof.checkpoint == head and line.name == witness.name and time_of(line.value) == time:
                CosignatureVerifier(witness.verifier).check(head.text(), line.value)
                return line
    return sign_checkpoint(head, witness, time=time)


@dataclass
class Ledger:
    """``cosigners``: names of witnesses and the times that they state."""

    entries: list[bytes]
    log: SignerKey = LOG
    origin: str = ORIGIN
    cosigners: Mapping[str, int] = field(default_factory=lambda: {"north": CONFIRMED, "south": CONFIRMED + 1})

    def checkpoint(self) -> bytes:
        root = root_of_leaves([leaf_hash(entry) for entry in self.entries])
        head = Checkpoint(self.origin, len(self.entries), root)
        lines = [sign_checkpoint(head, self.log)]
        lines += [cosigned(head, name, time) for name, time in self.cosigners.items()]
        return Note(head.text(), tuple(lines)).data()

    def proof(self, index: int) -> str:
        leaves = [leaf_hash(entry) for entry in self.entries]
        hashes = prove_inclusion(index, len(leaves), _Nodes(leaves))
        return LogProof.make(index=index, hashes=hashes, checkpoint=self.checkpoint()).data().decode()


def adoption(edition: Edition, *, event: str = "adopted") -> bytes:
    return EditionStatement(edition.number, edition.digest, event, "2026-11-02T08:00:00Z").data()


def other_receipt(number: int) -> bytes:
    return ReceiptStatement(hashlib.sha256(f"receipt {number}".encode()).hexdigest()).data()


def ledger_with(entry: bytes, **changes: Any) -> tuple[Ledger, int, int]:
    """The ledger, the receipt's index, the second edition's."""
    entries = [adoption(first()), SoftwareStatement({"commun": "0.1.0"}, "2026-11-02T08:00:01Z").data()]
    entries += [other_receipt(number) for number in range(3)]
    entries += [adoption(second()), *(other_receipt(number) for number in range(3, 6)), entry, other_receipt(6)]
    return Ledger(entries, **changes), 9, 5


VALUES = Values(
    prompt_token_ids=(1, 9690, 198, 2683, 359, 4649),
    prompt_messages=(("system", "You answer briefly."), ("user", "What is a quorum?")),
    answer_token_ids=(504, 5346, 282, 1343, 49151, 2),
    answer_text="The number of members who must agree. 🗳",
    logprobs=(-12345, -6931472, 0, -10000001, -99, -1),
)
SMALL_DIGEST = "2e52e0bd2697039eb78784db49ca121ac4313dea28fd9dfbc216526f18cbc089"


@cache
def statement() -> Statement:
    return Statement(
        receipt=receipt_id("a turn's own id"),
        state=State.COMPLETE,
        error="",
        finish="stop",
        began=BEGAN,
        ended=ENDED,
        charter=CharterUsed(2, second().digest, second().first_root, stale=False),
        model_id="small",
        model_digest=SMALL_DIGEST,
        engine=EngineUsed("openvino-genai", "2026.4.1.0", "exact", {"build": "2026.4.1-22000", "threads": "2"}),
        software="0.1.0",
        sampler=Sampler(OPENVINO_SAMPLER, "0.7", "0.95", 1024, ignore_eos=False),
        seed=Seed(Scheme.DRAWN, 3405691582),
        context=ContextUsed("chat", "oldest-turns-first", kept=1, dropped=4),
        persona="",
        language="en",
        sources=(),
        tools=(),
        prompt_tokens=0,
        answer_tokens=0,
        commitments={},
        ledger=ORIGIN,
    )


def signed(values: Values = VALUES, *, signer: ReceiptSigner = SIGNER, **changes: Any) -> Receipt:
    return issue(replace(statement(), **changes), values, signer, salts=SALTS)


def logged(receipt_entry: bytes, **changes: Any) -> Logged:
    ledger, at, edition_at = ledger_with(receipt_entry, **changes)
    edition = LoggedEntry(adoption(second()), ledger.proof(edition_at))
    return Logged(LOG.verifier.text(), ledger.proof(at), edition)


def bundle(receipt: Receipt | None = None, **changes: Any) -> Bundle:
    """Whole, and verified by whoever pins the charter. ``changes``: fields of Bundle."""
    receipt = receipt or signed()
    return replace(receipt.bundle(charter=second().documents, ledger=logged(receipt.entry)), **changes)


def value(made: Bundle | None = None) -> Any:
    """As JSON data, to be broken."""
    return json.loads((made or bundle()).data())


def dumped(data: Any) -> bytes:
    """As Bundle.data writes it, whatever is in it."""
    lines = (f" {json.dumps(name)}: {json.dumps(item, ensure_ascii=False)}" for name, item in data.items())
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def resigned(payload: bytes, *, signer: ReceiptSigner = SIGNER, values: Values = VALUES) -> Bundle:
    """A bundle of any payload, signed, logged and with everything else in order."""
    from commun.receipts.dsse import entry_of
    from commun.receipts.issue import make_bundle

    envelope = signer.sign(payload)
    return make_bundle(
        envelope,
        key=signer.key.text(),
        values=values,
        salts=SALTS,
        charter=second().documents,
        ledger=logged(entry_of(envelope)),
    )


def restated(change: Any, **others: Any) -> Bundle:
    """A statement changed as JSON data by ``change``, signed as if it were right."""
    data = json.loads(signed().envelope)
    import base64

    plain = json.loads(base64.b64decode(data["payload"]))
    change(plain)
    return resigned(rfc8785.dumps(plain), **others)

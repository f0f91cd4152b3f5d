"""Step 6 by the second verifier, on random receipts, as the first one has it; and the board's keys and signatures."""

import base64
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import CryptoSigner, Signature

sys.path.insert(0, str(Path(__file__).parents[1] / "receipts"))

import world
from charter_batch import asked, differences
from charter_folders import BAD_KEYS, KEYS
from commun.charter.errors import BadKey
from commun.charter.keys import key_from_text, text_of_key
from commun.charter.source import read_charter
from commun.receipts.adopted import check_adopted, check_allowed, check_prompt
from commun.receipts.commitments import FIELDS
from commun.receipts.errors import ReceiptError
from commun.receipts.statement import CharterUsed, Scheme, Seed, Statement

SEED = 20261122
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # the order of P-256's group
MODELS = (("small", world.SMALL_DIGEST), ("far", ""), ("small", "ab" * 32), ("big", "ab" * 32), ("__proto__", ""))
VERSIONS = ("0.1", "0.1.0", "0.0.9", "1", "1.0", "1.0.dev1", "0.9rc1", "0." + "9" * 200, "abc", "0.1.0.0", ".1", "0..1", "0.1a.9", "0.01", "٠.١")  # fmt: skip
DECIMALS = ("0", "0.1", "0.7", "1", "1.5", "1.5" + "0" * 397 + "1", "1.4" + "9" * 398, "0.0" + "9" * 398, "2", "999999999999", "0.09", "0.95")  # fmt: skip
ADOPTED = ("You answer briefly.", "You answer briefly.\n\nYou are funny.", "Vous répondez brièvement.", "Vous répondez brièvement.\n\nVous êtes drôle.")  # fmt: skip
Messages = Sequence[tuple[str, str]]


def statements(chance: random.Random, count: int, edition: world.Edition) -> Iterator[Statement]:
    """One in which everything is allowed, with one or two fields changed."""
    used = CharterUsed(edition.number, edition.digest, edition.first_root, stale=False)
    plain = replace(world.statement(), charter=used, commitments=dict.fromkeys(FIELDS, "ab" * 32))
    seed, engine, sampler, context = plain.seed, plain.engine, plain.sampler, plain.context
    for _ in range(count):
        one = plain
        for _ in range(chance.randint(1, 2)):
            model, digest = chance.choice(MODELS)
            fields: dict[str, Any] = chance.choice(
                (
                    {
                        "model_id": model,
                        "model_digest": digest,
                        "engine": replace(engine, profile=chance.choice(("exact", "remote"))),
                    },
                    {"engine": replace(engine, profile=chance.choice(("exact", "fast", "remote")))},
                    {"software": chance.choice(VERSIONS)},
                    {"sampler": replace(sampler, temperature=chance.choice(DECIMALS))},
                    {"sampler": replace(sampler, top_p=chance.choice(DECIMALS))},
                    {
                        "sampler": replace(
                            sampler,
                            max_tokens=chance.choice((1, 8192, 8193, 2**31 - 1)),
                            ignore_eos=chance.random() < 0.5,
                        )
                    },
                    {"seed": Seed(chance.choice((Scheme.CALLER, Scheme.DRAWN)), seed.value)},
                    {
                        "context": replace(
                            context,
                            kind=chance.choice(("chat", "text")),
                            policy=chance.choice((context.policy, "other")),
                        )
                    },
                    {
                        "persona": chance.choice(("", "clown", "system", "__proto__")),
                        "language": chance.choice(("en", "fr")),
                    },
                    {"sources": chance.choice(((), ("documents",))), "tools": chance.choice(((), ("search",)))},
                )
            )
            one = replace(one, **fields)
        yield one


def messages(chance: random.Random) -> Messages:
    told = chance.choice(ADOPTED) + chance.choice(("", "", "\n\nMore.", "\n\n", "\nMore.", " "))
    first = (chance.choice(("system", "system", "system", "user", "text")), told)
    rest = [(chance.choice(("user", "assistant", "user", "system", "text")), "x") for _ in range(chance.randint(0, 2))]
    return chance.choice(([first, *rest], [first, *rest], [first], rest))


def allowed_here(statement: Statement, documents: dict[str, bytes], told: Messages, *, stop: bool, schema: bool) -> str:
    try:
        charter = check_adopted(documents, statement).edition.charter
        model = check_allowed(charter, statement, stop=stop, schema=schema)
        check_prompt(charter, statement, told)
    except ReceiptError as error:
        return error.reason.value
    return model.name


@pytest.mark.parametrize("callers", ["true", "false"])
def test_settings_are_allowed_and_refused_alike(callers: str) -> None:
    chance = random.Random(SEED)
    edition = world.adopt(world.charter_files(world.BOARD, callers=callers), None, world.BOARD)
    expected, jobs = [], []
    for statement in statements(chance, 200, edition):
        told, stop, schema = messages(chance), chance.random() < 0.1, chance.random() < 0.1
        expected.append(allowed_here(statement, edition.documents, told, stop=stop, schema=schema))
        jobs.append(
            {
                "job": "allowed",
                "files": {name: data.decode() for name, data in edition.documents.items()},
                "predicate": statement.to_json()["predicate"],
                "stop": stop,
                "schema": schema,
                "messages": [{"role": role, "content": content} for role, content in told],
            }
        )
    found = [answer.get("model") or answer["reason"] for answer in asked(jobs)]
    assert not differences(expected, expected, found)
    assert len(set(expected)) > 5


# Keys


def id_here(text: str) -> str | None:
    try:
        return key_from_text(text).keyid
    except BadKey:
        return None


def test_keys_have_the_same_ids_and_are_refused_alike() -> None:
    texts = (*KEYS, *BAD_KEYS, *(text.swapcase() for text in KEYS), "", ":", "ed25519", "ecdsa-p256:====", "x" * 257)
    expected = [id_here(text) for text in texts]
    answers = asked([{"job": "key", "text": text} for text in texts])
    assert not differences(texts, expected, [answer.get("id") for answer in answers])
    assert expected.count(None) > len(BAD_KEYS) - 3


def signatures_of_p256(message: bytes) -> list[bytes]:
    """The right one, the other right one, and what is not DER or no signature."""
    right = derive_private_key(7, SECP256R1()).sign(message, ECDSA(SHA256()))
    r, s = decode_dss_signature(right)
    padded = right[:2] + b"\x02" + bytes([right[3] + 1]) + b"\0" + right[4:]
    return [
        *(right, encode_dss_signature(r, N - s), encode_dss_signature(r, s + N), encode_dss_signature(0, s), encode_dss_signature(r, 0)),
        *(right + b"\0", right[:-1], b"", b"0", b"\x30\x00", b"\x30\x06\x02\x01\x01\x02\x01\x01", b"\x31" + right[1:], padded),
        *(b"\x30\x81" + right[1:], bytes([0x30, padded[1] + 1]) + padded[2:], r.to_bytes(32, "big") + s.to_bytes(32, "big")),
        *(encode_dss_signature(N, s), encode_dss_signature(r, N), encode_dss_signature(2**255, s), encode_dss_signature(2**300, s)),
        *(right.replace(b"\x02", b"\x03", 1), bytes([*right[:-1], right[-1] ^ 1]), b"\x30\x06\x02\x00\x02\x01\x01\x00", bytes(72)),
    ]  # fmt: skip


def holds_here(text: str, message: bytes, signature: bytes) -> bool:
    key = key_from_text(text)
    try:
        key.verify_signature(Signature(key.keyid, signature.hex()), message)
    except UnverifiedSignatureError:
        return False
    return True


def test_signatures_of_p256_hold_alike() -> None:
    text = text_of_key(CryptoSigner(derive_private_key(7, SECP256R1())).public_key)
    cases = [(text, b"m%d" % number, each) for number in range(8) for each in signatures_of_p256(b"m%d" % number)]
    expected = [holds_here(*case) for case in cases]
    jobs = [
        {"job": "signed", "text": key, "message": message.hex(), "signature": each.hex()}
        for key, message, each in cases
    ]
    assert not differences(cases, expected, [answer["holds"] for answer in asked(jobs)])
    assert expected.count(True) == 16


def test_a_board_of_security_keys_adopts_a_charter(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = world.member

    def member(name: str) -> CryptoSigner:
        return (
            CryptoSigner(derive_private_key(1 + len(name), SECP256R1())) if name in {"Ada", "Benoît"} else plain(name)
        )

    monkeypatch.setattr(world, "member", member)
    edition = world.adopt(world.charter_files(world.BOARD), None, world.BOARD)
    assert read_charter(world.charter_files(world.BOARD)).board.members[0].key.startswith("ecdsa-p256:")
    predicate = {
        "charter": {"edition": 1, "digest": edition.digest, "first_root": edition.first_root, "stale": False},
        "began": "2026-11-22T09:30:00Z",
    }
    files = {name: base64.b64encode(data).decode() for name, data in edition.documents.items()}
    (answer,) = asked([{"job": "adopted", "files": files, "predicate": predicate}])
    assert answer["adopted"]["signed"] == len(world.BOARD)

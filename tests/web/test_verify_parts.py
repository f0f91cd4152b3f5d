"""The parts of the browser's verifier, each held against what Python's libraries say."""

import hashlib
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey
from securesystemslib.formats import encode_canonical

sys.path.insert(0, str(Path(__file__).parent / "verify"))

from under_node import answers

from commun.charter.strict_json import NotStrict, read_object
from commun.ed25519 import find_point_fault
from commun.web import verify_page

ORDER = 2**252 + 27742317777372353535851937790883648493
FIELD = 2**255 - 19
HINTS_AT = 2420 - 84  # of an ML-DSA-44 signature: 80 places, then where each of the four rows ends
CHANCE = 20261122


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    for name in ("bytes", "strict-json", "canonical", "ed25519", "mldsa"):
        (folder / f"{name}.mjs").write_text(verify_page.module(f"{name}.js"), encoding="utf-8")
    return folder


def said(parts: Path, jobs: list[dict[str, Any]]) -> list[Any]:
    return [each.get("said", each.get("refused")) for each in answers("parts.mjs", parts, jobs)]


def signature_job(part: str, key: bytes, message: bytes, signature: bytes) -> dict[str, Any]:
    return {"part": part, "key": key.hex(), "message": message.hex(), "signature": signature.hex()}


def flipped(rnd: random.Random, data: bytes, *, first: int = 0) -> bytes:
    made = bytearray(data)
    made[rnd.randrange(first, len(made))] ^= 1 << rnd.randrange(8)
    return bytes(made)


# Ed25519


def ed25519_cases() -> list[tuple[bytes, bytes, bytes]]:
    rnd = random.Random(CHANCE)
    cases = []
    for length in range(40):
        key = Ed25519PrivateKey.from_private_bytes(rnd.randbytes(32))
        public = key.public_key().public_bytes_raw()
        message = rnd.randbytes(length * 7)
        signature = key.sign(message)
        more = (int.from_bytes(signature[32:], "little") + ORDER).to_bytes(32, "little")
        cases += [
            (public, message, signature),
            (public, message + b"\0", signature),
            (public, message, flipped(rnd, signature)),
            (public, message, signature[:32] + more),
            (public, message, signature[:63]),
            (public, message, signature + b"\0"),
        ]
    return cases


def test_ed25519_signatures_are_judged_as_openssl_does_by_the_browser_and_by_hand(parts: Path) -> None:
    cases = ed25519_cases()
    found = said(parts, [signature_job("ed25519", *case) for case in cases])
    assert found == [is_signed(*case) for case in cases]
    assert 40 <= found.count(True) < len(found)


def is_signed(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def test_ed25519_keys_are_refused_that_the_first_verifier_refuses(parts: Path) -> None:
    rnd = random.Random(CHANCE)
    numbers = [
        0,
        1,
        2,
        3,
        FIELD - 1,
        FIELD,
        FIELD + 1,
        FIELD + 18,
        2**255 - 1,
        *(rnd.randrange(2**255) for _ in range(300)),
    ]
    keys = [(number | sign << 255).to_bytes(32, "little") for number in numbers for sign in (0, 1)]
    small = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"  # of order eight, as are three others
    keys += [bytes.fromhex(small), bytes.fromhex(small[:-2] + "85"), b"", bytes(31), bytes(33)]
    found = said(parts, [signature_job("ed25519", key, b"", bytes(64)) for key in keys])
    refused = ["BadKey" if len(key) != 32 or find_point_fault(key) else False for key in keys]
    assert found == refused
    assert found.count(False) > 100


# ML-DSA-44


def mldsa_key(number: int) -> MLDSA44PrivateKey:
    return MLDSA44PrivateKey.from_seed_bytes(hashlib.sha256(b"%d" % number).digest())


def mldsa_cases() -> list[tuple[bytes, bytes, bytes]]:
    rnd = random.Random(CHANCE)
    cases = []
    for number, length in enumerate((0, 1, 71, 72, 73, 135, 136, 137, 300, 1000)):
        key = mldsa_key(number)
        public = key.public_key().public_bytes_raw()
        message = rnd.randbytes(length)
        signature = key.sign(message)
        cases += [
            (public, message, signature),
            (public, message + b"\0", signature),
            (public, message, flipped(rnd, signature)),
            (public, message, flipped(rnd, signature, first=HINTS_AT)),
            (flipped(rnd, public), message, signature),
            (public, message, signature[:-1]),
            (public, message, signature + b"\0"),
            (public[:-1], message, signature),
        ]
    return cases


def is_signed_mldsa(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        MLDSA44PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def test_mldsa_signatures_are_judged_as_openssl_does(parts: Path) -> None:
    cases = mldsa_cases()
    found = said(parts, [signature_job("mldsa", *case) for case in cases])
    assert found == [is_signed_mldsa(*case) for case in cases]
    assert found.count(True) == 10


def test_a_hint_of_mldsa_has_one_writing(parts: Path) -> None:
    """Other writings of the same hint hash to the same challenge: only the form tells them."""
    key = mldsa_key(1)
    public = key.public_key().public_bytes_raw()
    cases = []
    for message in (b"%d" % number for number in range(20)):
        signature = key.sign(message)
        hints = signature[HINTS_AT:]
        ends = hints[80:]
        if not 3 < ends[0] < ends[3] < 80:
            continue
        exchanged = bytes([hints[1], hints[0], *hints[2:]])
        doubled = bytes([hints[0], *hints[: ends[3]], *bytes(79 - ends[3]), *(end + 1 for end in ends)])
        padded = hints[:79] + b"\1" + ends
        back = hints[:80] + bytes([ends[0], ends[0] - 1, ends[2], ends[3]])
        beyond = hints[:80] + bytes([*ends[:3], 81])
        cases += [(public, message, signature[:HINTS_AT] + each) for each in (exchanged, doubled, padded, back, beyond)]
    assert len(cases) > 20
    assert set(said(parts, [signature_job("mldsa", *case) for case in cases])) == {False}
    assert not any(is_signed_mldsa(*case) for case in cases)


def test_a_z_of_mldsa_has_its_bound(parts: Path) -> None:
    """All of its digits 0 is gamma1 itself, all 1 is -gamma1 + 1: both beyond gamma1 - beta."""
    key = mldsa_key(2)
    public = key.public_key().public_bytes_raw()
    signature = key.sign(b"message")
    cases = [(public, b"message", signature[:32] + fill * 2304 + signature[HINTS_AT:]) for fill in (b"\0", b"\xff")]
    assert said(parts, [signature_job("mldsa", *case) for case in cases]) == [False, False]


# JSON

READ = (
    b'{"a":1,"b":[true,false,null,"x"],"c":{"d":-1}}', b" {\t\n\r } ", b'{"__proto__":1,"constructor":{"__proto__":[]}}',
    b'{"\\ud83d\\uddf3":"\\u00e9\\b\\f\\n\\r\\t\\/\\\\\\"","\xc3\xa9":"\xf0\x9f\x97\xb3"}', b'{"a":0,"b":-0,"c":9007199254740991}',
    b'{"a":9007199254740992,"b":-9999999999999999,"c":9999999999999999}', b'{"":""}', b'{"a":"\x7f\xef\xbb\xbf"}',
    b'{"a":' + b"[" * 400 + b"]" * 400 + b"}", b'{"2":0,"10":0,"1":0}',
)  # fmt: skip
NOT_READ = (
    b"", b"{", b"[]", b"null", b"1", b'"a"', b'{"a":1,"a":2}', b'{"a":1,"\\u0061":2}', b'{"a":1}x', b'{"a":1,}', b"{,}", b"{'a':1}",
    b'{"a":1.0}', b'{"a":1e3}', b'{"a":1E3}', b'{"a":.5}', b'{"a":1.}', b'{"a":01}', b'{"a":-}', b'{"a":+1}', b'{"a":12345678901234567}',
    b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":"\\ud800"}', b'{"a":"\\udc00\\ud800"}', b'{"a":"\\u12"}', b'{"a":"\\x41"}',
    b'{"a":"\n"}', b'{"a":"\t"}', b'{"a":"\x00"}', b"\xef\xbb\xbf{}", b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xc0\x80"}',
    b'{"a" 1}', b'{"a":1 "b":2}', b'{"a":[1 2]}', b'{"a":[1,]}', b'{"a":[}', b'{"a":]}', b"{}\x0b", b"{}\xc2\xa0", b'{"a":tru}', b"{1:2}",
    b'{"a":"', b'{"a":"\\', b'{"a":"\\u', b'{"a":' + b"[" * 100_000, b"{" * 5,
)  # fmt: skip


def expected(value: Any) -> Any:
    if isinstance(value, dict):
        return {"pairs": sorted([name, expected(item)] for name, item in value.items())}
    if isinstance(value, list):
        return [expected(item) for item in value]
    return {"integer": str(value)} if type(value) is int else value


def sorted_pairs(value: Any) -> Any:
    if isinstance(value, dict) and "pairs" in value:
        return {"pairs": sorted([name, sorted_pairs(item)] for name, item in value["pairs"])}
    return [sorted_pairs(item) for item in value] if isinstance(value, list) else value


def test_json_is_read_as_the_first_verifier_reads_it(parts: Path) -> None:
    found = said(parts, [{"part": "json", "data": data.hex()} for data in READ])
    assert [sorted_pairs(each) for each in found] == [expected(read_object(data, limit=10**6)) for data in READ]


def test_json_is_refused_that_the_first_verifier_refuses(parts: Path) -> None:
    for data in NOT_READ:
        with pytest.raises(NotStrict):
            read_object(data, limit=10**6)
    found = said(parts, [{"part": "json", "data": data.hex()} for data in NOT_READ])
    # what is no object at the top is for readObject to refuse
    tops = {b"[]", b"null", b"1", b'"a"'}
    assert [
        (data, each) for data, each in zip(NOT_READ, found, strict=True) if each != "NotStrict" and data not in tops
    ] == []


CANONICAL = (
    {"b": 1, "a": [True, None, -(2**53) + 1], "é": 'é\n\t\b\f\r"\\/\x7f\u2028', "\U0001f600": 1, "\ufb33": 2, "": {}, "10": 1, "9": 2},
    {"\u0000\u001f": "\u0000\u0001\u001f", "a": {"c": [], "b": [[[]]]}},
)  # fmt: skip


def test_both_canonical_forms_are_those_of_pythons_libraries(parts: Path) -> None:
    jobs = [
        {"part": part, "data": json.dumps(value).encode().hex()} for value in CANONICAL for part in ("rfc8785", "tuf")
    ]
    wanted = [
        write(value) for value in CANONICAL for write in (rfc8785.dumps, lambda value: encode_canonical(value).encode())
    ]
    assert [bytes.fromhex(each) for each in said(parts, jobs)] == wanted


def test_a_number_beyond_53_bits_has_no_canonical_form_but_tufs(parts: Path) -> None:
    data = b'{"a":9007199254740992}'.hex()
    assert said(parts, [{"part": "rfc8785", "data": data}, {"part": "tuf", "data": data}]) == ["NotCanonical", data]


def test_base64_and_hexadecimal_have_one_writing(parts: Path) -> None:
    wrong = [
        "YQ",
        "YQ=",
        "YR==",
        "YWJ=",
        "YQ==\n",
        " YQ==",
        "Y=Q=",
        "====",
        "=",
        "Y===",
        "YQ-_",
        "YQ==YQ==",
        "é===",
        "\u0130Q==",
    ]
    jobs = [{"part": "decode", "form": "base64", "text": text} for text in wrong]
    jobs += [{"part": "decode", "form": "hex", "text": text} for text in ("0", "0G", "AB", "ab\n", " ab", "0x")]
    assert set(said(parts, jobs)) == {"BadWriting"}
    data = [random.Random(CHANCE).randbytes(length) for length in range(70)]
    texts = said(parts, [{"part": "encode", "data": each.hex()} for each in data])
    assert said(parts, [{"part": "decode", "form": "base64", "text": text} for text in texts]) == [
        each.hex() for each in data
    ]

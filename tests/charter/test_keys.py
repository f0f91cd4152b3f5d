"""A board's keys: one text each, weak ones refused, sealed files that cost a bounded amount of work to open."""

import base64
import json
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Signature, SSlibKey

from commun.charter import keys
from commun.charter.errors import BadKey, BadKeyFile, BadPassphrase, CharterError
from commun.ed25519 import SMALL_ORDER_Y, D

PASSPHRASE = "correct horse battery"
P = 2**255 - 19
VECTORS = Path(os.environ.get("COMMUN_VECTORS", Path(__file__).parents[3] / "shared" / "vectors"))


@pytest.fixture(scope="module")
def key() -> keys.SoftwareKey:
    return keys.make_key()


@pytest.fixture(scope="module")
def key_file(key: keys.SoftwareKey) -> bytes:
    return key.sealed(PASSPHRASE)


def p256() -> SSlibKey:
    return SSlibKey.from_crypto(ec.generate_private_key(ec.SECP256R1()).public_key())


def ed25519_text(y: int, sign: int = 0) -> str:
    return "ed25519:" + (y | sign << 255).to_bytes(32, "little").hex()


def test_a_key_is_its_text_and_the_text_is_the_key(key: keys.SoftwareKey):
    for one in (key.signer.public_key, p256()):
        assert keys.key_from_text(keys.text_of_key(one)) == one


def test_a_key_file_opens_with_its_passphrase_and_signs(key: keys.SoftwareKey, key_file: bytes):
    opened = keys.SoftwareKey.open(key_file, PASSPHRASE)
    assert (opened.public_text, opened.keyid) == (key.public_text, key.keyid)
    key.signer.public_key.verify_signature(opened.signer.sign(b"text"), b"text")


def test_a_key_file_shows_its_public_key_and_no_secret(key: keys.SoftwareKey, key_file: bytes):
    assert keys.public_text_in(key_file) == key.public_text
    secret = key.private.private_bytes_raw()
    assert secret.hex() not in key_file.decode()
    assert secret.hex() not in repr(key)


def test_another_passphrase_does_not_open_it(key_file: bytes):
    for other in ("correct horse batter", "", "x" * 100_000, "\ud800" * 12):
        with pytest.raises(BadPassphrase):
            keys.SoftwareKey.open(key_file, other)


def test_letters_written_in_two_ways_are_the_same_passphrase(key: keys.SoftwareKey):
    sealed = key.sealed("une cl\u00e9 pour deux")
    assert keys.SoftwareKey.open(sealed, "une cle\u0301 pour deux").keyid == key.keyid


@pytest.mark.parametrize("passphrase", ["", "short", "x" * 11, "x" * 1025])
def test_a_passphrase_too_short_or_endless_is_refused(key: keys.SoftwareKey, passphrase: str):
    with pytest.raises(keys.WeakPassphrase):
        key.sealed(passphrase)


def test_a_suggested_passphrase_has_more_than_eighty_bits_and_is_never_the_same():
    assert keys.PASSPHRASE_BITS >= 80
    suggested = {keys.suggest_passphrase() for _ in range(200)}
    assert len(suggested) == 200
    for text in suggested:
        keys.check_passphrase(text)
        assert text.replace("-", "").isalpha()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("memory_kib", 2**31),
        ("memory_kib", keys.MAX_MEMORY_KIB + 1),
        ("memory_kib", 1),
        ("memory_kib", True),
        ("memory_kib", 65536.0),
        ("passes", 1_000_000),
        ("passes", 0),
        ("lanes", 1000),
        ("lanes", -1),
        ("salt", ""),
        ("nonce", "00"),
        ("sealed", "00" * 5000),
        ("sealed", "zz"),
        ("kdf", "none"),
        ("format", "commun-key/2"),
        ("public", "ed25519:" + "0" * 64),
    ],
)
def test_a_hostile_key_file_is_refused_before_it_costs_anything(key_file: bytes, field: str, value: object):
    with pytest.raises(BadKeyFile):
        keys.SoftwareKey.open(json.dumps(json.loads(key_file) | {field: value}).encode(), PASSPHRASE)


def test_the_public_key_is_bound_to_the_private_one(key_file: bytes):
    other = json.loads(key_file) | {"public": keys.make_key().public_text}
    with pytest.raises(BadPassphrase):
        keys.SoftwareKey.open(json.dumps(other).encode(), PASSPHRASE)


def test_an_unknown_or_a_double_field_is_refused(key_file: bytes):
    for data in (
        json.dumps(json.loads(key_file) | {"more": 1}).encode(),
        key_file.replace(b'"lanes": 4', b'"lanes": 4, "lanes": 1'),
        key_file + b" " * 5000,
    ):
        with pytest.raises(BadKeyFile):
            keys.SoftwareKey.open(data, PASSPHRASE)


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", sorted(SMALL_ORDER_Y))
def test_the_small_order_points_are_refused_in_every_encoding(y: int, sign: int):
    for encoded in {y, y + P} if y + P < 2**255 else {y}:
        with pytest.raises(BadKey):
            keys.key_from_text(ed25519_text(encoded, sign))


def test_the_small_order_points_are_those_that_eightfold_to_nothing():
    def add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
        product = D * a[0] * b[0] * a[1] * b[1] % P
        x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + product, -1, P)
        return x % P, (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P) % P

    for y in SMALL_ORDER_Y:
        x_squared = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
        x = pow(x_squared, (P + 3) // 8, P)
        if x * x % P != x_squared:
            x = x * pow(2, (P - 1) // 4, P) % P
        assert x * x % P == x_squared
        point = (x, y)
        for _ in range(3):
            point = add(point, point)
        assert point == (0, 1)


def test_a_key_that_is_not_canonical_or_no_point_is_refused():
    for y in (P + 3, 2**255 - 1, 2):  # 2 is the y of no point
        with pytest.raises(BadKey):
            keys.key_from_text(ed25519_text(y))


def test_an_ecdsa_key_has_one_text():
    private = ec.generate_private_key(ec.SECP256R1())
    compressed = private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    off_curve = der[:-1] + bytes([der[-1] ^ 1])
    p384 = ec.generate_private_key(ec.SECP384R1()).public_key()
    for bad in (compressed, off_curve, der + b"\0", p384.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)):
        with pytest.raises(BadKey):
            keys.key_from_text("ecdsa-p256:" + base64.b64encode(bad).decode())
    with pytest.raises(BadKey):
        keys.key_from_text("ecdsa-p256:" + base64.b64encode(der).decode() + "\n")


def test_a_key_with_another_id_scheme_or_field_is_refused(key: keys.SoftwareKey):
    public = key.signer.public_key
    one = p256()
    for bad in (
        SSlibKey("0" * 64, "ed25519", "ed25519", public.keyval),
        SSlibKey(public.keyid, "ed25519", "ed25519", public.keyval, {"more": 1}),
        SSlibKey(public.keyid, "ed25519", "ed25519", {"public": public.keyval["public"].upper()}),
        SSlibKey(public.keyid, "ed25519", "ecdsa-sha2-nistp256", public.keyval),
        SSlibKey(one.keyid, one.keytype, one.scheme, {"public": one.keyval["public"] + "\n"}),
        SSlibKey(one.keyid, one.keytype, one.scheme, {"public": "no key"}),
        SSlibKey.from_crypto(rsa.generate_private_key(65537, 2048).public_key()),
    ):
        with pytest.raises(BadKey):
            keys.check_key(bad)


@given(st.binary(max_size=200) | st.text(max_size=80).map(lambda text: b"ed25519:" + text.encode()))
def test_arbitrary_bytes_raise_only_our_errors(data: bytes):
    with pytest.raises(CharterError):
        keys.SoftwareKey.open(data, PASSPHRASE)
    with pytest.raises(CharterError):
        keys.key_from_text(data.decode("latin-1"))
    with pytest.raises(CharterError):
        keys.key_from_text("ecdsa-p256:" + base64.b64encode(data).decode())


def test_signatures_verify_as_wycheproof_says():
    file = VECTORS / "wycheproof" / "ed25519_test.json"
    if not file.is_file():
        reason = "the Wycheproof vectors are not here: COMMUN_VECTORS names the folder that has wycheproof/"
        if os.environ.get("COMMUN_VECTORS"):
            pytest.fail(reason)
        pytest.skip(reason)
    checked = 0
    for group in json.loads(file.read_text())["testGroups"]:
        key = keys.key_from_text("ed25519:" + group["publicKey"]["pk"])
        for case in group["tests"]:
            try:
                key.verify_signature(Signature(key.keyid, case["sig"]), bytes.fromhex(case["msg"]))
                result = "valid"
            except UnverifiedSignatureError:
                result = "invalid"
            assert result == case["result"], case["comment"]
            checked += 1
    assert checked == 151

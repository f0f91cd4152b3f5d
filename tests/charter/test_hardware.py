"""A key on a PKCS#11 device, SoftHSM here: it joins a board and signs an amendment that is then adopted."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boards import NOW, charter_files, signer
from commun.charter.adoption import adopt
from commun.charter.amendment import propose, sign
from commun.charter.hardware import HardwareKeyProblem, HardwareName, hardware_signer, parse_uri
from commun.charter.joining import Invitation, JoinRequest, accept
from commun.charter.keys import text_of_key
from commun.charter.loader import verify
from commun.charter.repository import Repository

PIN = "4711-0815"
LIBRARIES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm.so")  # fmt: skip


@pytest.fixture(scope="module")
def module_path() -> str:
    library = next((path for path in LIBRARIES if Path(path).exists()), None)
    if library is None or shutil.which("softhsm2-util") is None:
        reason = "SoftHSM is not installed (Debian: softhsm2)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return library


@pytest.fixture(scope="module")
def device(module_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A token "board" with a P-256 key "member", an Ed25519 key "modern" and a P-384 key "large"; its library."""
    import pkcs11
    from pkcs11 import KeyType, Mechanism
    from pkcs11.util.ec import encode_named_curve_parameters

    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    try:
        for label in ("board", "empty"):
            command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", PIN]
            subprocess.run(command, check=True, capture_output=True)
        library = pkcs11.lib(module_path)
        library.reinitialize()
        with library.get_token(token_label="board").open(rw=True, user_pin=PIN) as session:
            for label, curve in (("member", "secp256r1"), ("large", "secp384r1")):
                parameters = session.create_domain_parameters(
                    KeyType.EC, {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}, local=True
                )
                parameters.generate_keypair(label=label, id=label.encode(), store=True)
            edwards = {pkcs11.Attribute.EC_PARAMS: b"\x13\x0cedwards25519"}
            parameters = session.create_domain_parameters(KeyType.EC_EDWARDS, edwards, local=True)
            parameters.generate_keypair(
                mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN, label="modern", id=b"modern", store=True
            )
        yield module_path
    finally:
        os.environ.pop("SOFTHSM2_CONF")
        if before is not None:
            os.environ["SOFTHSM2_CONF"] = before


def uri(device: str, label: str = "member", token: str = "board") -> str:
    return f"pkcs11:token={token};object={label}?module-path={device}"


@pytest.mark.parametrize(("label", "kind"), [("member", "ecdsa-p256:"), ("modern", "ed25519:")])
def test_a_key_on_a_device_joins_a_board_and_signs_what_is_adopted(device: str, label: str, kind: str, tmp_path: Path):
    repository, trust = Repository(tmp_path / "charter"), tmp_path / "trust"
    first = sign(propose(charter_files(["Ada"], quorum=1), None, None, reason="Why.", now=NOW), signer("Ada"), now=NOW)
    in_force = adopt(repository, trust, first, now=NOW)
    assert first.root is not None
    asked = []

    def pin() -> str:
        asked.append(1)
        return PIN

    with hardware_signer(uri(device, label), pin) as hardware:
        invitation = Invitation("Zoé", "Ada", "Town hall", "00" * 32, in_force.edition.digest)
        request = JoinRequest.from_text(accept(invitation, hardware).to_text())
        assert request.key == text_of_key(hardware.public_key)
        assert request.key.startswith(kind)
        joined = charter_files(["Ada", "Zoé"], quorum=2, keys={"Zoé": request.key})
        root = verify(repository, trust, now=NOW).root
        amendment = propose(joined, in_force, root, reason="Zoé joins.", now=NOW + timedelta(hours=1))
        amendment = sign(sign(amendment, hardware, now=NOW), signer("Ada"), now=NOW)
    after = adopt(repository, trust, amendment, now=NOW)
    assert [one.member for one in after.edition.signatures] == ["Ada", "Zoé"]
    assert len(asked) == 1  # once for the six signatures


def test_what_is_missing_is_named(device: str, tmp_path: Path):
    def refused(text: str, pin: str = PIN) -> str:
        with pytest.raises(HardwareKeyProblem) as caught, hardware_signer(text, lambda: pin):
            pass
        assert pin not in str(caught.value)
        return str(caught.value.details["reason"])

    assert "library" in refused(uri(str(tmp_path / "none.so")))
    (tmp_path / "text.so").write_text("no library")
    assert "library" in refused(uri(str(tmp_path / "text.so")))
    assert "no such token" in refused(uri(device, token="nobody"))
    assert "several tokens" in refused(f"pkcs11:object=member?module-path={device}")
    assert "no such elliptic-curve key" in refused(uri(device, label="none"))
    assert "no such elliptic-curve key" in refused(uri(device, token="empty"))
    assert "several keys" in refused(f"pkcs11:token=board?module-path={device}")
    assert "neither on P-256" in refused(uri(device, label="large"))
    assert "PIN is wrong" in refused(uri(device), pin=secrets.token_hex(6))


def test_a_key_signs_only_while_it_is_open(device: str):
    hardware = hardware_signer(f"pkcs11:token=board;id=member?module-path={device}", lambda: PIN)
    with hardware:
        key = hardware.public_key
        key.verify_signature(hardware.sign(b"text"), b"text")
    with pytest.raises(HardwareKeyProblem):
        hardware.sign(b"text")
    assert PIN not in repr(vars(hardware))


def test_without_the_extra_it_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "pkcs11", None)
    with pytest.raises(HardwareKeyProblem, match=r"commun\[pkcs11\]"), hardware_signer(uri("/lib.so"), lambda: PIN):
        pass


def test_a_uri_names_a_key():
    assert parse_uri(
        "pkcs11:token=My%20card;serial=ab;object=k%C3%A9y;id=%01%02?module-path=/a%20b.so"
    ) == HardwareName("/a b.so", "My card", b"ab", "kéy", b"\x01\x02")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "file:x",
        "pkcs11:token=x",
        "pkcs11:token?module-path=/x",
        "pkcs11:token=x;token=y?module-path=/x",
        "pkcs11:manufacturer=x?module-path=/x",
        "pkcs11:token=x?module-path=/x&pin-value=4711",
        "pkcs11:token=x?pin-source=file:/x",
        "pkcs11:" + "x" * 3000,
    ],
)
def test_a_uri_with_a_pin_or_with_what_is_not_read_is_refused(text: str):
    with pytest.raises(HardwareKeyProblem):
        parse_uri(text)


@given(st.text(max_size=60))
def test_arbitrary_text_raises_only_our_error(text: str):
    with pytest.raises(HardwareKeyProblem):
        parse_uri(f"pkcs11:{text}?module-path")

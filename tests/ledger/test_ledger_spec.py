"""docs/spec/ledger.md says what the code does."""

import re
from pathlib import Path

from commun.ledger import errors, keys, note, tiles
from commun.ledger.errors import LedgerError
from commun.ledger.policy import Policy

SPEC = (Path(__file__).parents[2] / "docs" / "spec" / "ledger.md").read_text()
REFUSALS = SPEC.split("\n## Refusals\n")[1].split("\n## ")[0]


def test_every_refusal_has_its_line():
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, LedgerError)]
    assert re.findall(r"^\| `(\w+)` \|", REFUSALS, re.MULTILINE) == [kind.code for kind in classes]


def test_the_bounds_are_the_codes():
    assert f"{note.MAX_NOTE_BYTES:,} bytes and {note.MAX_SIGNATURES} signature lines" in SPEC
    assert f"{tiles.MAX_ENTRY_BYTES:,} bytes at most" in SPEC
    assert f"{keys.MAX_NAME_BYTES} bytes at most" in SPEC
    for kind, length in keys.PUBLIC_BYTES.items():
        time = "" if kind == keys.ED25519 else "8 + "
        assert re.search(rf"\| `0x{kind:02x}` .* \| {length}, {re.escape(time)}{keys.SIGNATURE_BYTES[kind]} \|", SPEC)


def test_the_paths_that_are_shown_are_paths():
    for path in re.findall(r"^(tile/\S+) ", SPEC, re.MULTILINE):
        assert tiles.Tile.from_path(path).path() == path
    assert "1234067·256" in SPEC
    for path in re.findall(r"`(tile/0\S+)`", SPEC):
        try:
            tiles.Tile.from_path(path)
        except errors.BadTile:
            continue
        raise AssertionError(path)


def test_the_policy_that_is_shown_is_one_once_its_keys_are_filled_in():
    shown = SPEC.split("### Policy\n\n```\n")[1].split("```")[0]
    filled = re.sub(
        r"(\S+)\+…",
        lambda match: keys.SignerKey(match[1], keys.ED25519_COSIGNATURE, match[1].encode().ljust(32)).verifier.text(),
        shown,
    )
    policy = Policy.from_bytes(filled.encode())
    assert [group.needed for group in policy.groups] == [2]


def test_every_file_that_is_named_is_there():
    for name in re.findall(r"`(ledger/\w+\.py)`", SPEC):
        assert (Path(__file__).parents[2] / "src" / "commun" / name).is_file()

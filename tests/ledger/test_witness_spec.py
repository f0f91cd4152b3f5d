"""docs/spec/witness.md says what the code does."""

import re
from pathlib import Path

from commun import fetching
from commun.api.witness import PREFIX, witness_routes
from commun.cli.ledger import SPLIT
from commun.ledger import comparison, witness, witness_state
from commun.ledger.keys import ED25519_COSIGNATURE, SignerKey
from commun.ledger.policy import Policy
from commun.ledger.witness_state import Witness, WitnessUnready
from commun.recording import cosignatures, witnesses

SPEC = (Path(__file__).parents[2] / "docs" / "spec" / "witness.md").read_text()


def test_every_refusal_has_its_line_and_its_status() -> None:
    kinds = {*witness.WitnessRefusal.__subclasses__(), WitnessUnready}
    told = set(re.findall(r"^\| (\d{3}) \| `(\w+)` \|", SPEC, re.MULTILINE))
    assert told == {(str(kind.status), kind.code) for kind in kinds}


def test_every_address_is_served(tmp_path) -> None:
    told = {path for _, path in re.findall(r"^\| `(GET|POST) (\S+?)[`<]", SPEC, re.MULTILINE)}
    paths = {route.path.split("{")[0] for route in witness_routes(Witness(tmp_path, tmp_path / "key"))}
    assert {path.removesuffix("/") for path in told} == {path.removesuffix("/") for path in paths}
    assert all(path.startswith(f"{PREFIX}/") for path in paths)


def test_the_bounds_are_the_codes() -> None:
    assert f"{witness.MAX_REQUEST_BYTES:,} bytes" in SPEC
    assert f"at most {witness.MAX_PROOF_LINES} hashes" in SPEC
    assert f"{fetching.MAX_WITNESS_ANSWER:,} bytes and ten seconds" in SPEC
    assert fetching.WITNESS_S == 10
    assert "again within five seconds" in SPEC
    assert witness_state.REPEAT_S == 5
    assert (witnesses.PAUSE_S, witnesses.MAX_PAUSE_S) == (1, 5 * 60)
    assert cosignatures.MAX_AHEAD_S == 24 * 60 * 60
    assert f"the first {witness_state.MAX_PROVEN} files" in SPEC
    assert f"and {witness_state.MAX_UNPROVEN} of the others" in SPEC


def test_the_evidence_is_as_it_is_written() -> None:
    part = SPEC.split("\n## Evidence\n")[1].split("\n## ")[0]
    fields = {
        name for names in re.findall(r"^\| (`.*?`) \|", part, re.MULTILINE) for name in re.findall(r"`(\w+)`", names)
    }
    assert fields == comparison._FIELDS
    assert all(f"`{fault.value}`" in part for fault in comparison.Fault)
    assert f"`{comparison.FORMAT}`" in part
    assert f"{SPLIT} they show two histories" in part


def test_the_policy_that_is_shown_is_one_once_its_keys_are_filled_in() -> None:
    shown = SPEC.split("```\n")[1].split("```")[0]
    filled = re.sub(
        r"(\S+)\+…",
        lambda match: SignerKey(match[1], ED25519_COSIGNATURE, match[1].encode().ljust(32)[:32]).verifier.text(),
        shown,
    )
    first = Policy.from_bytes(filled.encode()).witnesses[0]
    assert first.url == b"https://chat.town.example/witness"

"""``commun receipt complete``: the proof that was not there yet when an answer was handed out, fetched from a real server."""

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from commun.receipts.bundle import PENDING, Bundle
from commun.receipts.completing import completed
from commun.receipts.errors import ReceiptError
from fake_engine import FakeEngine
from founded import found_for_tests
from site_server import Site, serving

GOLDEN = Path(__file__).parent / "vectors/receipts/golden"
LOGGED_S = 120


def commun(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "commun.cli", *arguments],
        env=os.environ | {"COMMUN_HOME": str(home), "COMMUN_LANGUAGE": "en", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def answered(site: Site) -> dict[str, object]:
    """A chat that nobody keeps; its bundle as it was handed out."""
    key = site.run(make_key(site))
    body = {"model": "default", "messages": [{"role": "user", "content": "Hello"}], "receipt": "bundle"}
    answer = httpx2.post(
        f"{site.url}/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"}, timeout=60
    )
    assert answer.status_code == 200, answer.text
    bundle: dict[str, object] = answer.json()["commun"]["receipt"]["bundle"]
    return bundle


async def make_key(site: Site) -> str:
    accounts = site.app.state.services.accounts
    key: str = await accounts.make_api_key(await accounts.ensure_founder(), "test")
    return key


def test_a_bundle_that_was_handed_out_at_once_is_completed_in_place(tmp_path: Path) -> None:
    home = tmp_path / "home"
    found_for_tests(home)
    file = tmp_path / "answer.bundle.json"
    with serving(home, FakeEngine()) as site:
        given = answered(site)
        assert given["ledger"]["receipt"] == PENDING  # type: ignore[index]
        file.write_text(json.dumps(given))
        deadline = time.monotonic() + LOGGED_S
        told = ""
        while "complete now" not in told and time.monotonic() < deadline:
            result = commun("receipt", "complete", str(file), "--from", site.url, home=home)
            assert result.returncode == 0, result.stderr
            told = result.stdout
            assert "complete now" in told or "still pending" in told
    whole = Bundle.from_bytes(file.read_bytes())
    assert str(whole.ledger.receipt).startswith("c2sp.org/tlog-proof@v1")
    assert set(whole.disclosed) >= {"answer_text", "prompt_messages"}, "what only the owner has is still there"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_receipt_that_the_server_does_not_have_is_said_and_the_file_stays(tmp_path: Path) -> None:
    home = tmp_path / "home"
    found_for_tests(home)
    file = tmp_path / "answer.bundle.json"
    data = next(GOLDEN.iterdir()).read_bytes()
    file.write_bytes(data)
    with serving(home, FakeEngine()) as site:
        result = commun("receipt", "complete", str(file), "--from", site.url, home=home)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert file.read_bytes() == data


def test_another_receipts_bundle_completes_nothing() -> None:
    bundles = [Bundle.from_bytes(path.read_bytes()) for path in sorted(GOLDEN.iterdir())]
    one, other = next((a, b) for a in bundles for b in bundles if a.envelope != b.envelope)
    with pytest.raises(ReceiptError):
        completed(one, other)


def test_a_proof_that_was_there_is_not_lost_to_one_that_is_pending() -> None:
    whole = next(
        bundle
        for path in sorted(GOLDEN.iterdir())
        if (bundle := Bundle.from_bytes(path.read_bytes())).ledger.receipt not in (None, PENDING)
    )
    later = Bundle(whole.envelope, whole.key, {}, None, type(whole.ledger)(whole.ledger.key, PENDING))
    assert completed(whole, later) == whole

"""The chat in the terminal: answers on standard output, everything else beside it, and a proof where it is wanted."""

import io
import stat
import sys
from pathlib import Path

import pytest

from charters import Fixed, in_force
from commun.assistant.admission import Admission
from commun.assistant.energy import EnergyMeter
from commun.assistant.engines import Engines
from commun.assistant.question import Question
from commun.assistant.turn import Assistant
from commun.receipts.bundle import PENDING, Bundle, Logged
from commun.receipts.issue import Receipt
from commun.receipts.verification import Trust, verify
from commun.terminal import ProofNotKept, Proofs, converse
from fake_engine import FakeEngine
from issuers import SIGNER, TestIssuer

pytestmark = pytest.mark.anyio


async def fresh(receipt: Receipt) -> Bundle:
    return receipt.bundle(ledger=Logged(receipt=PENDING))


async def conversation(issuing: TestIssuer, proofs: Proofs | None = None) -> None:
    engine = FakeEngine("Half of the members.")
    assistant = Assistant(
        charter=Fixed(in_force()),
        engines=Engines(lambda _wish: engine),
        admission=Admission(running=1, waiting=1),
        meter=EnergyMeter(watt=10),
        issuer=issuing.issuer,
    )
    await converse(assistant, str, Question(), proofs=proofs)


async def test_a_piped_question_is_answered_alone_on_standard_output_and_has_a_receipt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("What is a quorum?\n"))
    issuing = TestIssuer()
    await conversation(issuing)
    told = capsys.readouterr()
    assert told.out.splitlines()[-1] == "Half of the members."
    assert told.err == ""
    assert {receipt.statement.seed.nonce_by for receipt in issuing.logbook.submitted} == {"caller"}
    assert len(issuing.logbook.submitted) == len(issuing.nobodys.kept) == 1


async def test_the_proof_is_a_private_file_that_verifies(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("What is a quorum?\n"))
    await conversation(TestIssuer(), Proofs(tmp_path / "proofs", fresh))
    (path,) = (tmp_path / "proofs").iterdir()
    assert str(path) in capsys.readouterr().err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    statement = verify(path.read_bytes(), Trust(keys=(SIGNER.key.text(),))).statement
    assert statement is not None
    assert path.name == f"answer-{statement.receipt[:8]}.bundle.json"


async def test_a_folder_that_takes_no_proof_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("What is a quorum?\n"))
    (tmp_path / "proofs").write_text("a file")
    with pytest.raises(ProofNotKept):
        await conversation(TestIssuer(), Proofs(tmp_path / "proofs", fresh))

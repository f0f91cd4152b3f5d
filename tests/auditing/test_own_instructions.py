"""An answer of the real engine that was told its reader's own instructions: both verifiers, the page and the audit."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "web" / "verify"))

from under_node import node

from commun.assistant.in_force import utc_now
from commun.audit.case import CannotAudit, case_of
from commun.charter.edition import Edition
from commun.charter.loader import load
from commun.charter.repository import Repository
from commun.places import CHARTER_FOLDER, TRUST_FOLDER
from commun.receipts.bundle import Bundle
from commun.receipts.statement import Statement
from commun.receipts.verification import Trust
from commun.web import verify_page
from running import RunningCommun, with_models

pytestmark = pytest.mark.engine

OWN = "Answer in one short sentence.\nI teach physics in a lycée."
OF_FOLDER = "This is about the town of Plouha."
ADDED = f"{OWN}\n\n{OF_FOLDER}"
EXAMINE = """
import { readFileSync } from "node:fs";
const { examine } = await import(process.argv[2]);
const { verdict, steps, said } = await examine(new Uint8Array(readFileSync(process.argv[3])), { charter: process.argv[4] });
console.log(JSON.stringify({ verdict, said, proves: steps.flatMap(({ proves }) => proves.map(({ text }) => text)) }));
"""


@dataclass
class Given:
    """What is left of the answer. ``page``: its receipt's, ``later``: after the instructions were changed."""

    folder: Path
    page: str
    later: str
    bundle: Path
    bundle_later: Path
    edition: Edition

    @property
    def statement(self) -> Statement:
        return Statement.from_envelope(Bundle.from_bytes(self.bundle.read_bytes()).envelope)

    @property
    def prompt(self) -> str:
        return self.edition.charter.system_prompt(self.statement.language, self.statement.persona)


@pytest.fixture(scope="module")
def given(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Given:
    """Asked as a person asks, in a folder; the server is gone since."""
    folder = tmp_path_factory.mktemp("instructed")
    home = with_models(folder / "server", models)
    with RunningCommun(home) as server:
        server.wait_ready()
        browser = httpx2.Client(base_url=server.url, timeout=60)
        browser.get(f"/sign-in?token={server.token}")
        browser.post("/settings/instructions", data={"instructions": OWN.replace("\n", "\r\n"), "used": "yes"})
        settings = browser.get("/settings").text
        told = re.search(r"(\d+) of the (\d+) tokens", settings)
        assert told, "what they cost is told in tokens of the model that answers"
        assert 5 < int(told[1]) < 40
        town = browser.post("/folders", data={"name": "Plouha"}).headers["location"]
        browser.post(town, data={"name": "Plouha", "instructions": OF_FOLDER})
        asked = {"question": "What is gravity?", "folder": town.removeprefix("/folders/")}
        at = browser.post("/ask", data=asked).headers["location"]
        chat = browser.get(at.partition("#")[0]).text
        assert "Your own instructions" in chat, "in the answer's facts"
        (receipt,) = set(re.findall(r"/receipt/([0-9a-f]{64})", chat))

        def taken(name: str) -> tuple[str, Path]:
            file = folder / f"{name}.bundle.json"
            file.write_bytes(browser.get(f"/receipt/{receipt}/bundle").content)
            return browser.get(f"/receipt/{receipt}").text, file

        page, bundle = taken("then")
        browser.post("/settings/instructions", data={"instructions": "Answer in verse."})
        browser.post(f"{town}/delete")
        later, bundle_later = taken("later")
    edition = load(Repository(home / CHARTER_FOLDER), home / TRUST_FOLDER, now=utc_now()).edition
    return Given(folder, page, later, bundle, bundle_later, edition)


def test_they_stand_after_the_charters_prompt_and_the_receipt_commits_to_them(given: Given) -> None:
    disclosed = Bundle.from_bytes(given.bundle.read_bytes()).disclosed["prompt_messages"].value
    assert disclosed == (("system", f"{given.prompt}\n\n{ADDED}"), ("user", "What is gravity?"))
    assert f"{len(ADDED)} characters, told to the model after the charter’s" in given.page


def test_changing_or_deleting_them_later_changes_no_receipt(given: Given) -> None:
    then, later = (Bundle.from_bytes(file.read_bytes()) for file in (given.bundle, given.bundle_later))
    assert (then.envelope, then.disclosed) == (later.envelope, later.disclosed)
    assert f"{len(ADDED)} characters, told to the model after the charter’s" in given.later


def test_the_verifier_of_the_page_tells_them_apart_from_the_charters_prompt(given: Given) -> None:
    module, program = given.folder / "examination.mjs", given.folder / "examine.mjs"
    module.write_text(verify_page.module("examination.js"), encoding="utf-8")
    program.write_text(EXAMINE)
    charter = given.statement.charter.first_root
    command = [node(), program, module.as_uri(), given.bundle_later, charter]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(done.stdout)
    assert found["verdict"] != "refused"
    assert "After it stands what whoever asked has added, as the charter allows." in found["proves"]
    first, own, question = found["said"]["messages"]
    assert (first["content"], first["isOwn"]) == (given.prompt, False)
    assert (own["content"], own["isOwn"]) == (ADDED, True)
    assert (question["role"], question["isOwn"]) == ("user", False)


def test_it_is_verified_and_audited_as_identical_in_another_house(given: Given, models: Path, tmp_path: Path) -> None:
    elsewhere = with_models(tmp_path / "elsewhere", models)
    charter = given.statement.charter.first_root

    def commun(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "commun.cli", *map(str, arguments)],
            env=os.environ | {"COMMUN_HOME": str(elsewhere), "COMMUN_LANGUAGE": "en", "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    verified = commun("receipt", "verify", given.bundle_later, "--charter", charter)
    assert "After it stands what whoever asked has added, as the charter allows." in verified.stdout
    assert "Nothing contradicts it" in verified.stdout, "in part: the charter of a first start names no ledger"
    assert verified.returncode == 2
    audited = commun("audit", given.bundle_later)
    assert audited.returncode == 0, audited.stdout + audited.stderr
    assert "Identical: each token is the one" in audited.stdout
    assert f"the model was told {len(ADDED)} characters that whoever asked had added" in audited.stdout


def test_a_word_that_is_changed_in_them_is_noticed(given: Given, tmp_path: Path) -> None:
    file = tmp_path / "changed.bundle.json"
    whole = given.bundle.read_text()
    assert "physics" in whole
    file.write_text(whole.replace("physics", "history"))
    with pytest.raises(CannotAudit, match="the receipt itself is refused"):
        case_of(file.read_bytes(), Trust())

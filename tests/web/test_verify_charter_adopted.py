"""Steps 5 and 6 of docs/spec/receipt.md by the second verifier: as the first one has it, and as each bundle of the corpus
is named.
"""

import base64
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parents[1] / "vectors" / "receipts"
sys.path.insert(0, str(Path(__file__).parents[1] / "receipts"))

import world  # noqa: E402
from charter_batch import asked, differences  # noqa: E402
from charter_editions import Changed, bases, changed_by, editions, framings, mismatches, steps  # noqa: E402
from commun.receipts.adopted import check_adopted  # noqa: E402
from commun.receipts.errors import ReceiptError  # noqa: E402
from commun.receipts.statement import CharterUsed  # noqa: E402

SEED = 20261122
REASONS = ("charter-", "model-", "engine-", "software-", "outside-charter", "prompt-")


def adopted_here(case: Changed) -> dict[str, Any] | str:
    used = CharterUsed(case.number, case.digest, case.first_root, case.stale)
    statement = replace(world.statement(), charter=used, began=case.began)
    try:
        found = check_adopted(case.files, statement)
    except ReceiptError as error:
        return error.reason.value
    edition = found.edition
    return {
        "name": edition.charter.name,
        "signed": len(edition.signatures),
        "quorum": edition.charter.board.quorum,
        "edition": edition.number,
        "digest": edition.digest,
        "firstRoot": case.first_root,
        "roots": found.roots,
    }


def adopted_there(cases: list[Changed]) -> list[dict[str, Any] | str]:
    jobs = [
        {
            "job": "adopted",
            "files": {name: base64.b64encode(data).decode() for name, data in case.files.items()},
            "predicate": case.predicate(),
        }
        for case in cases
    ]
    found: list[dict[str, Any] | str] = []
    for answer in asked(jobs):
        if "adopted" in answer:
            answer["adopted"].pop("expires")
        found.append(answer.get("adopted", answer.get("reason")))
    return found


def test_editions_are_adopted_and_refused_alike() -> None:
    cases = list(editions(SEED, 300))
    expected = [adopted_here(case) for case in cases]
    assert not differences(cases, expected, adopted_there(cases))
    assert sum(isinstance(each, dict) for each in expected) > 20
    named = {each for each in expected if isinstance(each, str)}
    assert named >= {"charter-invalid", "charter-extra-file", "charter-expired"}


def test_each_rule_of_the_metadata_is_held_alike() -> None:
    cases = [changed_by(each, base) for base in bases() for each in steps()]
    cases += mismatches()
    expected = [adopted_here(case) for case in cases]
    assert not differences([case.predicate() for case in cases], expected, adopted_there(cases))
    assert sum(isinstance(each, dict) for each in expected) > 50
    assert expected[-10:].count("charter-invalid") == 8  # not another purpose, nor another day: no root names them


def test_what_stands_beside_the_signed_part_is_held_alike() -> None:
    cases = list(framings())
    expected = [adopted_here(case) for case in cases]
    assert not differences([case.files for case in cases], expected, adopted_there(cases))
    assert sum(isinstance(each, dict) for each in expected) > 7


def bundles() -> list[tuple[str, str, dict[str, Any]]]:
    """Those whose statement can be read and that have a charter: file, expected reason ("": goes on), job."""
    found = []
    for case in json.loads((VECTORS / "index.json").read_bytes()):
        reason = case.get("reason") or ""
        ours = reason.startswith(REASONS) and reason != "charter-unknown"
        if (
            not ours
            and reason
            and not reason.endswith(("ledger", "-form", "policy", "unsigned", "witnesses", "time", "fork"))
        ):
            continue
        if reason == "envelope-form":
            continue
        bundle = json.loads((VECTORS / case["file"]).read_bytes())
        if bundle["charter"] is None:
            continue
        predicate = json.loads(base64.b64decode(json.loads(bundle["envelope"])["payload"]))["predicate"]
        told = bundle["disclosed"]["prompt_messages"]
        job = {
            "job": "allowed",
            "files": bundle["charter"],
            "predicate": predicate,
            "stop": predicate["commitments"]["stop"] is not None,
            "schema": predicate["commitments"]["schema"] is not None,
            "messages": told and told["value"],
        }
        found.append((case["file"], reason if ours else "", job))
    return found


def test_the_corpus_is_refused_by_name_or_goes_on_to_the_ledger() -> None:
    cases = bundles()
    answers = asked([job for _, _, job in cases])
    assert not differences(
        [file for file, _, _ in cases],
        [reason for _, reason, _ in cases],
        [answer.get("reason", "") for answer in answers],
    )
    named = {reason for _, reason, _ in cases}
    assert len(named) > 9
    assert len(cases) > 70

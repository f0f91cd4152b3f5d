"""The page that verifies: it agrees with the Python verifier about every published bundle and about hundreds of spoiled
ones, its file is whole, and it reaches for nothing outside of itself.
"""

import base64
import hashlib
import html
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "verify"))

import bounds
import corners
import mutations
from under_node import HERE, RUN_S, answers, node

from commun.receipts.errors import Reason
from commun.receipts.verification import verify
from commun.web import verify_page
from commun.web.i18n import LANGUAGES, catalogue
from commun.web.verify_sentences import SENTENCES

VECTORS = Path(__file__).parents[1] / "vectors" / "receipts"
FUZZED = 400
SAYS = re.compile(r'\bsay\("([^"]*)"')
WRITES = re.compile(r'\bsay(?:\.plain|\.label)?\("([^"]*)"\)')
STEPS = 7


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the page has it, as a module."""
    file = tmp_path_factory.mktemp("verifier") / "verify.mjs"
    file.write_text(verify_page.module("verify.js"), encoding="utf-8")
    return file


def test_it_agrees_with_every_published_bundle(verifier: Path) -> None:
    command = [node(), str(HERE / "corpus.mjs"), str(verifier), str(VECTORS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S, check=False)
    count = len(json.loads((VECTORS / "index.json").read_text()))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{count} bundles, 0 differ\n", "")
    assert count > 200


def test_it_agrees_with_the_python_verifier_about_spoiled_bundles(verifier: Path) -> None:
    """Verdict, reason and every step's outcome; what is missing word for word."""
    mutants = [mutations.mutant(seed) for seed in range(FUZZED)]
    found = answers("bundles.mjs", verifier, [job(each) for each in mutants])
    reports = [verify(each.data, each.trust).to_json() for each in mutants]
    assert [
        (mutant.how, summary(report), summary(other))
        for mutant, report, other in zip(mutants, reports, found, strict=True)
        if summary(report) != summary(other)
    ] == []
    reasons = Counter(report["reason"] or report["verdict"] for report in reports)
    assert len(reasons) > 20, reasons


def test_at_each_bound_both_say_the_same(verifier: Path) -> None:
    cases = list(bounds.bounds())
    mutants = [mutations.Mutant(each.name, each.within, each.trust[0]) for each in cases]
    mutants += [mutations.Mutant(each.name, each.beyond, each.trust[1]) for each in cases]
    found = answers("bundles.mjs", verifier, [job(each) for each in mutants])
    assert [
        (mutant.how, summary(report), summary(other))
        for mutant, report, other in zip(
            mutants, (verify(each.data, each.trust).to_json() for each in mutants), found, strict=True
        )
        if summary(report) != summary(other)
    ] == []
    beyond = found[len(cases) :]
    assert [
        (case.name, other["reason"])
        for case, other in zip(cases, beyond, strict=True)
        if other["reason"] != case.reason
    ] == []
    assert [case.name for case, other in zip(cases, found, strict=False) if other["reason"] == case.reason] == []


def test_both_refuse_what_somebody_made_wrong_in_one_place(verifier: Path) -> None:
    mutants = [mutations.Mutant(each.name, each.data, each.trust) for each in corners.corners()]
    found = answers("bundles.mjs", verifier, [job(each) for each in mutants])
    wanted = [each.reason for each in corners.corners()]
    for reports in (found, [verify(each.data, each.trust).to_json() for each in mutants]):
        assert [
            (mutant.how, reason, report["reason"], report["detail"])
            for mutant, reason, report in zip(mutants, wanted, reports, strict=True)
            if (report["reason"] or "") != reason
        ] == []


def job(mutant: mutations.Mutant) -> dict[str, Any]:
    trust = mutant.trust
    policy = None if trust.policy is None else base64.b64encode(trust.policy).decode()
    return {
        "data": base64.b64encode(mutant.data).decode(),
        "charter": trust.charter,
        "keys": trust.keys,
        "policy": policy,
    }


def summary(report: dict[str, Any]) -> tuple[Any, ...]:
    steps = [(step["step"], step["outcome"], step["missing"]) for step in report["steps"][:STEPS]]
    return report["verdict"], report["reason"], report["step"], steps


def test_ledgers_that_sign_with_mldsa_are_verified(verifier: Path) -> None:
    data, policy = mutations.quantum()
    trust = mutations.Trust(charter=mutations.world.second().first_root, policy=policy)
    [found] = answers("bundles.mjs", verifier, [job(mutations.Mutant("", data, trust))])
    assert found["verdict"] == verify(data, trust).verdict == "verified"


def test_the_largest_bundle_is_read_and_a_larger_one_is_not(verifier: Path) -> None:
    whole = json.loads(mutations.world.bundle().data())
    whole["disclosed"]["answer_text"]["value"] = "x" * (15 << 20)
    tokens = json.loads(mutations.world.bundle().data())
    tokens["disclosed"]["prompt_token_ids"]["value"] = list(range(1_000_000))
    files = [mutations.world.dumped(whole), mutations.world.dumped(tokens), b" " * (16 << 20) + b"{}"]
    found = answers("bundles.mjs", verifier, [job(mutations.Mutant("", each, mutations.Trust())) for each in files])
    assert [each["reason"] for each in found] == ["commitment-mismatch", "commitment-mismatch", "too-large"]


# the file


def test_its_script_parses(tmp_path: Path) -> None:
    file = tmp_path / "page.js"
    file.write_text(verify_page.script(), encoding="utf-8")
    subprocess.run([node(), "--check", str(file)], check=True, timeout=RUN_S)


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_one_file_that_names_no_other(language: str) -> None:
    text = verify_page.html(language, "auto")
    assert set(re.findall(r'\s(?:src|srcset|href|action|data|poster)="([^"]*)"', text)) == {"#main", ""}
    assert not re.search(r"@import|url\(|<link|<iframe|<img|<object|<embed|<form|<base", text)
    # the two addresses are names, compared byte for byte
    assert set(re.findall(r"\w+://[^\s\"'`<>]*", text)) <= {"https://in-toto.io/Statement/v1", "http://", "https://"}


def test_its_script_neither_asks_nor_keeps_nor_makes_html() -> None:
    forbidden = (
        "fetch(", "XMLHttpRequest", "WebSocket", "EventSource", "sendBeacon", "importScripts", "SharedWorker", "localStorage",
        "sessionStorage", "indexedDB", "document.cookie", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write",
        "eval(", "Function(", "createContextualFragment", "DOMParser", "window.open", "window.postMessage", "serviceWorker", "caches.",
    )  # fmt: skip
    assert [each for each in forbidden if each in verify_page.script()] == []
    assert re.findall(r"Worker\(.*", verify_page.script()) == ["Worker(addressOf(source));"]  # which is its own text


def test_its_policy_allows_its_own_script_and_style_and_nothing_else() -> None:
    text = verify_page.html("en", "auto")
    [style] = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    [script] = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(re.findall(r"<script", text)) == 2  # the other one is data
    inside = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert inside
    assert html.unescape(inside[1]) == verify_page.policy()
    directives = dict(each.strip().split(" ", 1) for each in verify_page.policy().split(";"))
    assert directives == {
        "default-src": "'none'",
        "script-src": sha256(script),
        "style-src": sha256(style),
        "worker-src": "blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "commun-verifier",
    }


def sha256(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_no_style_stands_in_an_attribute_and_no_script_in_a_handler() -> None:
    assert not re.search(r"\s(?:style|on\w+)=", verify_page.html("en", "auto").partition("<script")[0])


# words


def test_its_sentences_are_those_of_its_template_and_its_scripts() -> None:
    used = set(WRITES.findall((verify_page.MODULES.parent / "templates" / "verify.html").read_text()))
    for name in ("verify.js", "seed.js", "words.js"):
        used |= set(SAYS.findall((verify_page.MODULES / name).read_text()))
    assert used == set(SENTENCES)
    assert len(SENTENCES) == len(set(SENTENCES))


def test_both_languages_stand_in_the_file_whichever_it_begins_in() -> None:
    for language in LANGUAGES:
        text = verify_page.html(language, "auto")
        found = re.search(r'<script type="application/json" id="sentences">(.*?)</script>', text, re.DOTALL)
        assert found
        sentences = json.loads(found[1])
        assert {code: set(each) for code, each in sentences.items()} == {code: set(SENTENCES) for code in LANGUAGES}
        assert sentences["fr"] == {each: catalogue("fr").gettext(each) for each in SENTENCES}
        assert f'<html lang="{language}"' in text


def test_every_reason_has_a_sentence() -> None:
    words = (verify_page.MODULES / "words.js").read_text().partition("export const REASONS = {")[2]
    assert set(re.findall(r'^  "?([a-z0-9-]+)"?: say\(', words, re.MULTILINE)) == {reason.value for reason in Reason}


# how it is put together


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(verify_page, "MODULES", tmp_path)
    return tmp_path


def test_modules_are_put_together_in_the_order_of_their_imports(folder: Path, tmp_path: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "a.js").write_text(
        'import { one as two } from "./deep/b.js";\nconst own = 1;\nexport const sum = own + two();\n'
    )
    (folder / "deep" / "b.js").write_text('import { own } from "../c.js";\nexport function one() {\n  return own;\n}\n')
    (folder / "c.js").write_text("export const own = 41;\n")
    (tmp_path / "made.mjs").write_text(verify_page.module("a.js") + "console.log(sum);\n")
    done = subprocess.run(
        [node(), str(tmp_path / "made.mjs")], capture_output=True, text=True, timeout=RUN_S, check=True
    )
    assert done.stdout == "42\n"


@pytest.mark.parametrize(
    "source",
    [
        'import b from "./b.js";',
        'import "./b.js";',
        'import {\n  b,\n} from "./b.js";',
        'import { b } from "https://example.org/b.js";',
        'const b = await import("./b.js");',
        "export default 1;",
        "export { b };",
        'export { b } from "./b.js";',
        'import { b } from "./a.js";\nexport const c = 1;',
    ],
)
def test_another_form_of_import_or_export_is_refused(folder: Path, source: str) -> None:
    (folder / "a.js").write_text(source + "\n")
    (folder / "b.js").write_text("export const b = 1;\n")
    with pytest.raises(ValueError, match=r"imports or exports in another form|exports in another form|imports itself"):
        verify_page.module("a.js")


def test_a_script_that_would_end_its_element_is_refused(folder: Path) -> None:
    (folder / "main.js").write_text('export const a = "</script>";\n')
    with pytest.raises(ValueError, match="would end its element"):
        verify_page.script()

"""A browser signs nothing but what its page shows, whatever the server says (static/payloads.js)."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from board_acts import Sent, browser_board
from board_home import NAMES, SYSTEM, BoardHome, board_home, with_system
from commun.web.assets import asset
from fake_engine import FakeEngine
from site_server import Site, serving


@pytest.fixture
def board(tmp_path: Path) -> BoardHome:
    """Ada has a key file. The others' keys are replaced by those that their browsers make."""
    return board_home(tmp_path / "home", NAMES[:1])


@pytest.fixture
def site(board: BoardHome) -> Iterator[Site]:
    with serving(board.home, FakeEngine(), sign_in_rate_limit="1000/minute") as running:
        yield running


def test_the_browser_signs_nothing_but_what_it_shows(context, site: Site, board: BoardHome, watch):
    pages = browser_board(context, board)
    before = board.desk.verified().in_force.newest.files[SYSTEM].decode()
    honest = board.propose(with_system(before + "\nBe honest."))
    other = board.propose(with_system(before + "\nPraise the mayor."))
    page = pages["Chloé"]
    sent = Sent(page.context)
    answers: dict[str, Any] = {}

    def swapped(route: Any) -> None:
        answers.setdefault("other", page.request.get(f"/board/{other.id}/to-sign").json())
        answers.setdefault("own", page.request.get(f"/board/{honest.id}/to-sign").json())
        route.fulfill(json=answers["make"](json.loads(json.dumps(answers["own"])), answers["other"]))

    lies = {
        "another amendment": lambda own, other: other,
        "its bytes under our name": lambda own, other: {**own, "payloads": other["payloads"]},
        "its files": lambda own, other: {**own, "files": other["files"]},
        "a snapshot of the other": lambda own, other: {**own, "payloads": {**own["payloads"], "snapshot": other["payloads"]["snapshot"]}},
        "something more": lambda own, other: {**own, "payloads": {**own["payloads"], "freeze": "e30="}},
        "a part for another": lambda own, other: {**own, "payloads": {**own["payloads"], "root": own["payloads"]["targets"]}},
        "another time": lambda own, other: {**own, "time": "2020-01-01T00:00:00Z"},
        "nothing of the kind": lambda own, other: {**own, "payloads": dict.fromkeys(own["payloads"], "AA==")},
    }  # fmt: skip
    page.route(f"**/board/{honest.id}/to-sign", swapped)
    for name, lie in lies.items():
        answers["make"] = lie
        page.goto(f"/board/{honest.id}")
        page.get_by_role("button", name="Sign", exact=True).click()
        expect(page.locator("#board-status"), name).to_contain_text("Nothing was signed.")
    page.unroute(f"**/board/{honest.id}/to-sign")
    page.goto(f"/board/{honest.id}")
    page.evaluate("document.querySelector('[data-file=\"prompts/system.en.md\"]').textContent = 'Something else.'")
    page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.locator("#board-status")).to_contain_text("Nothing was signed.")
    assert sent.bodies() == []


CHECKED = """
    async ([url, data, shown]) => {
        const { checked } = await import(url);
        return checked(data, shown).then((payloads) => Object.keys(payloads).sort().join(" "), (error) => error.constructor.name);
    }
"""
Parts = dict[str, dict[str, Any]]


def server_says(data: Any, parts: Parts) -> Any:
    encoded = {name: base64.b64encode(json.dumps(part).encode()).decode() for name, part in parts.items()}
    return {**data, "payloads": encoded}


def parts_of(data: Any) -> Parts:
    """What is to be signed, as values. (Nothing in these tests has a line end in it.)"""
    return {name: json.loads(base64.b64decode(text)) for name, text in data["payloads"].items()}


def edition_about(data: Any, change: Callable[[Any], object]) -> tuple[Any, str]:
    """The server's answer with other targets, everything else bound to them; and their digest."""
    parts = parts_of(data)
    change(parts["targets"])
    digest = hashlib.sha256(json.dumps(parts["targets"]).encode()).hexdigest()
    parts["snapshot"]["x-commun"]["targets"] = parts["timestamp"]["x-commun"]["targets"] = digest
    parts["assent"]["edition"] = digest
    return server_says(data, parts), digest


def test_each_thing_that_the_page_shows_is_checked_in_what_it_signs(context, site: Site, board: BoardHome):
    before = board.desk.verified().in_force.newest.files[SYSTEM].decode()
    amendment = board.propose(with_system(before + "\nBe honest."))
    page = context().new_page()
    page.goto(f"/board/{amendment.id}")
    data = page.request.get(f"/board/{amendment.id}/to-sign").json()
    shown = {"kind": "edition", "number": amendment.number, "digest": amendment.digest}

    def check(data: Any, shown: Any = shown) -> str:
        return str(page.evaluate(CHECKED, [asset("payloads.js"), data, shown]))

    # Written anew, for the real answer's bytes are canonical and these need not be.
    real, (data, digest) = data, edition_about(data, lambda targets: None)
    assert check(real) == check(data, {**shown, "digest": digest}) == "assent snapshot targets timestamp"
    shown |= {"digest": digest}

    def other(name: str, **fields: Any) -> Any:
        parts = parts_of(data)
        parts[name] |= fields
        return server_says(data, parts)

    assert check(other("assent")) == "assent snapshot targets timestamp"
    late = "2020-01-01T00:00:00Z"
    path, file = "prompts/system.en.md", {"length": 1, "hashes": {"sha256": "0" * 64}}
    more = edition_about(data, lambda targets: targets["targets"].update({"prompts/evil.en.md": file}))
    swapped = edition_about(data, lambda targets: targets["targets"][path]["hashes"].update({"sha256": "0" * 64}))
    refused = {
        "another kind": check({**data, "kind": "release"}),
        "another hour": check({**other("assent", time=late), "time": late}),
        "other targets": check(other("targets", expires=late)),
        "another number": check(data, {**shown, "number": amendment.number + 1}),
        "an assent to another edition": check(other("assent", edition="0" * 64)),
        "an assent at another time": check(other("assent", time=late)),
        "another assent": check(other("assent", _type="commun-freeze/1")),
        "a file that is not shown": check(more[0], {**shown, "digest": more[1]}),
        "a file with other bytes": check(swapped[0], {**shown, "digest": swapped[1]}),
        "another role": check(other("snapshot", _type="root")),
        "another snapshot": check(other("snapshot", **{"x-commun": {"targets": "0" * 64}})),
        "a part missing": check(server_says(data, {"targets": parts_of(data)["targets"]})),
        "a part too many": check(server_says(data, {**parts_of(data), "freeze": {}})),
    }
    page.evaluate(f"document.querySelector('[data-file=\"{path}\"]').remove()")
    refused["a page that does not show a file"] = check(data)
    assert {name: said for name, said in refused.items() if said != "Refusal"} == {}


@pytest.mark.parametrize("kind", ["release", "freeze"])
def test_a_release_and_a_freeze_are_checked_like_an_edition(context, site: Site, board: BoardHome, kind: str):
    page = context().new_page()
    page.goto("/board")
    time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    signed = {"edition": 2, "digest": "ab" * 32, "time": time}
    signed |= {"_type": "commun-unfreeze/1"} if kind == "release" else {"_type": "commun-freeze/1", "reason": "Why."}
    shown = {"kind": kind, "number": 2, "digest": "ab" * 32, "reason": " Why. "}

    def check(kind_named: str = kind, more: Any = None, **fields: Any) -> str:
        data = server_says({"kind": kind_named, "time": time}, {kind: {**signed, **fields}, **(more or {})})
        return str(page.evaluate(CHECKED, [asset("payloads.js"), data, shown]))

    assert check() == kind
    refused = [
        check("edition"),
        check(more={"targets": {}}),
        check(edition=3),
        check(digest="cd" * 32),
        check(_type="commun-unfreeze/1" if kind == "freeze" else "commun-freeze/1"),
    ]
    refused += [check(reason="Another."), check(time="2020-01-01T00:00:00Z")] if kind == "freeze" else []
    assert set(refused) == {"Refusal"}

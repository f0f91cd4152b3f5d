"""What members do on the board's pages, and what their browsers send."""

import json
import subprocess
import sys
from typing import Any

from playwright.sync_api import BrowserContext, Page, Request, expect

from board_home import NAMES, PASSPHRASE, BoardHome
from commun.charter.clauses import Member
from commun.charter.joining import Invitation, JoinRequest, charter_digest
from commun.drafting.editing import with_member, with_quorum


def commun(board: BoardHome, *words: str) -> str:
    """The command line, with Ada's key where one is needed."""
    passphrase = board.home / "passphrase"
    passphrase.write_text(PASSPHRASE)
    keys = ["--passphrase-file", str(passphrase)] if words[1] in ("sign", "freeze") else []
    yes = ["--yes"] if words[1] in ("sign", "freeze") else []
    done = subprocess.run(
        [sys.executable, "-m", "commun.cli", *words, "--home", str(board.home), *keys, *yes],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def invitation(board: BoardHome, name: str) -> str:
    verified = board.desk.verified()
    newest = verified.in_force.newest
    return Invitation(name, "Ada", newest.charter.name, charter_digest(verified.roots[0]), newest.digest).to_text()


def join(page: Page, board: BoardHome, name: str) -> JoinRequest:
    """Makes a key in this browser."""
    page.goto(f"/board/join?invitation={invitation(board, name)}")
    page.get_by_role("button", name="Make my key").click()
    expect(page.locator("#board-status")).to_have_text("Your key is made, and your answer is ready.")
    return JoinRequest.from_text(page.locator("#answer").input_value())


def in_flight(page: Page) -> str:
    return page.url.partition("?")[0].rpartition("/")[2]


class Sent:
    """All that a browser sent."""

    def __init__(self, context: BrowserContext) -> None:
        self.requests: list[Request] = []

        def note(request: Request) -> None:  # (a bound method of a list is no handler for Playwright)
            self.requests.append(request)

        context.on("request", note)

    def bodies(self) -> list[Any]:
        return [json.loads(each.post_data or "{}") for each in self.requests if each.method == "POST"]


def browser_board(context: Any, board: BoardHome) -> dict[str, Page]:
    """Benoît and Chloé with keys in two browsers, on the board with Ada, two of three."""
    pages = {name: context().new_page() for name in NAMES[1:]}
    requests = [join(page, board, name) for name, page in pages.items()]

    def enlarged(files: Any) -> Any:
        for request in requests:
            files = with_member(files, Member(request.name, request.key))
        return with_quorum(files, 2)

    amendment = board.propose(enlarged, reason="A board of three.", by=["Ada"])
    page = pages["Benoît"]
    page.goto(f"/board/{amendment.id}")
    page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.locator("[data-done]")).to_be_focused()
    page.get_by_role("button", name="Put it in force").click()
    expect(page.locator("[data-done]")).to_have_text("The new edition is in force.")
    return pages

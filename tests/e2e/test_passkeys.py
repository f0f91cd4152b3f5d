"""Passkeys in a real browser, with Chromium's own virtual authenticator."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import CDPSession, Page, expect
from sqlalchemy import update

from acts import ask_and_wait
from commun.authority import FRESH_S
from commun.store.schema import sessions
from fake_engine import FakeEngine
from site_server import Site, serving
from test_accessibility import violations


@pytest.fixture
def site(tmp_path: Path, engine: FakeEngine) -> Iterator[Site]:
    """Under a name: browsers bind no passkey to an address."""
    with serving(tmp_path / "home", engine) as running:
        yield replace(running, url=running.url.replace("127.0.0.1", "localhost"))


def authenticator(page: Page, *, derives: bool) -> tuple[CDPSession, str]:
    """A fingerprint reader on this device, and how to ask it. ``derives``: it has the extension “prf”."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "ctap2Version": "ctap2_1",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "hasPrf": derives,
        "automaticPresenceSimulation": True,
    }
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session, str(made["authenticatorId"])


def make_passkey(page: Page, name: str) -> None:
    page.goto("/settings")
    page.locator("#passkey-name").fill(name)
    page.get_by_role("button", name="Make a passkey").click()
    expect(page.get_by_text("The passkey is there.")).to_be_visible()


def sign_out(page: Page) -> None:
    page.goto("/settings")
    page.locator("#main").get_by_role("button", name="Sign out", exact=True).click()
    expect(page.locator("h1")).to_have_text("Sign in")


def test_a_passkey_that_derives_a_secret_signs_in_and_opens_the_conversations(page: Page) -> None:
    authenticator(page, derives=True)
    ask_and_wait(page, "Sealed to my fingerprint")
    make_passkey(page, "Laptop")
    expect(page.get_by_text("Passkey · Laptop")).to_be_visible()
    expect(page.locator("#ways ~ ul")).to_contain_text("signs in and opens your conversations")
    assert violations(page) == []
    sign_out(page)
    assert violations(page) == []
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.locator("#list a")).to_have_text("Sealed to my fingerprint")
    sign_out(page)
    page.get_by_role("button", name="Use a passkey").click()  # and again: each time another challenge
    expect(page.locator("#list a")).to_have_text("Sealed to my fingerprint")


def test_a_passkey_that_derives_nothing_signs_in_and_the_vault_asks_for_another_way(page: Page, watch) -> None:
    watch.allowed.append("403")
    authenticator(page, derives=False)
    ask_and_wait(page, "Sealed to my code")
    page.goto("/settings")
    page.get_by_role("button", name="Make one").click()
    code = page.locator("#new-code").inner_text()
    make_passkey(page, "Old key")
    expect(page.locator("#ways ~ ul")).to_contain_text("signs in, and opens nothing")
    sign_out(page)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.locator("h1")).to_have_text("Open your conversations")
    page.get_by_label("Recovery code").fill(code)
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.locator("#list a")).to_have_text("Sealed to my code")


def test_a_second_one_on_the_same_device_and_none_at_all_are_told(page: Page, context, watch) -> None:
    authenticator(page, derives=True)
    make_passkey(page, "Laptop")
    page.get_by_role("button", name="Make a passkey").click()
    expect(page.get_by_text("This device already holds a passkey for this account.")).to_be_visible()
    other = context().new_page()
    authenticator(other, derives=True)
    other.goto("/sign-in")
    other.get_by_role("button", name="Use a passkey").click()
    expect(other.get_by_text("The passkey was not used")).to_be_visible()


def test_a_passkey_that_was_taken_away_opens_nothing(page: Page, watch) -> None:
    watch.allowed += ["401", "403"]
    authenticator(page, derives=True)
    make_passkey(page, "Laptop")
    page.get_by_role("button", name="Take away the passkey Laptop").click()
    expect(page.locator("h1")).to_have_text("This is the last way in")
    page.get_by_role("button", name="Take it away all the same").click()
    sign_out(page)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_text("This passkey was not accepted.")).to_be_visible()


def test_who_was_here_long_ago_shows_with_a_passkey_that_it_is_still_them(page: Page, site: Site, watch) -> None:
    watch.allowed.append("403")
    authenticator(page, derives=False)
    ask_and_wait(page, "Still open afterwards")
    make_passkey(page, "Old key")
    long_ago = update(sessions).values(shown=time.time() - FRESH_S - 60)
    site.run(site.app.state.services.accounts.change(lambda connection: connection.execute(long_ago)))
    page.goto("/settings")
    page.get_by_role("button", name="Make a passkey").click()  # asked by the script
    expect(page.locator("h1")).to_have_text("Is it you?")
    assert violations(page) == []
    page.goto("/settings")
    page.get_by_role("button", name="Make one").click()  # asked by a form
    expect(page.locator("h1")).to_have_text("Is it you?")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page).to_have_url(f"{site.url}/settings#recovery")
    page.get_by_role("button", name="Make one").click()
    expect(page.locator("#new-code")).to_be_visible()
    expect(page.locator("#list a")).to_have_text("Still open afterwards")

"""Signing in at a real provider (Canaille, in a process of its own), in a real browser, from the first time to the next."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from acts import ask_and_wait
from commun.store.people import Role
from fake_engine import FakeEngine
from site_server import Site, serving
from test_accessibility import violations
from test_passkeys import authenticator

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venv-provider/bin/python"
CLIENT, SECRET, USER, PASSWORD = "commun", "the-secret-of-the-client", "camille", "correct horse battery staple"
THEIRS = ["Applying inline style violates", "(NOT FOUND)"]  # what the provider's own pages do
PASSPHRASE = "eleven slow green trams"


@dataclass
class Canaille:
    issuer: str
    process: "subprocess.Popen[str]"

    def register(self, back: str) -> None:
        """From now on it knows this Commun."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{back}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ready\n"


@pytest.fixture
def canaille(tmp_path: Path) -> Iterator[Canaille]:
    if not PYTHON.exists():
        missing = "this test needs a provider: make .make/provider"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with (tmp_path / "canaille.log").open("w") as log:
        process = subprocess.Popen(
            [PYTHON, HERE / "canaille_provider.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=tmp_path,
        )
    try:
        assert process.stdout is not None
        yield Canaille(process.stdout.readline().strip(), process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.kill()
        process.wait()


@pytest.fixture
def site(tmp_path: Path, engine: FakeEngine, canaille: Canaille) -> Iterator[Site]:
    """Under a name: browsers bind no passkey to an address."""
    with serving(
        tmp_path / "home",
        engine,
        oidc_issuer=canaille.issuer,
        oidc_client_id=CLIENT,
        oidc_client_secret=SECRET,
        oidc_name="The town hall",
    ) as running:
        named = replace(running, url=running.url.replace("127.0.0.1", "localhost"))
        canaille.register(f"{named.url}/sign-in/provider/back")
        yield named


def sign_in_there(page: Page) -> None:
    page.locator("input[name=login]").fill(USER)
    page.locator("input[name=login]").press("Enter")
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[name=password]").press("Enter")


def test_from_the_invitation_to_the_next_sign_in(context, site: Site, canaille: Canaille, watch) -> None:
    watch.allowed += [*THEIRS, canaille.issuer, "400", "401", "403"]
    invited = f"/invitation/{site.run(site.app.state.services.invitations.make(Role.MEMBER))}"
    page = context().new_page()

    # who gives up there is told so, and the invitation is still good
    page.goto(invited)
    page.get_by_role("button", name="Come in with The town hall").click()
    sign_in_there(page)
    expect(page.get_by_text("is requesting access to")).to_be_visible()
    page.get_by_role("button", name="Deny").click()
    expect(page.locator("#sign-in-problem")).to_contain_text("was refused or given up")

    # the first time: a name and a passphrase, and the recovery code
    page.goto(invited)
    page.get_by_role("button", name="Come in with The town hall").click()
    page.get_by_role("button", name="Accept").click()
    expect(page.locator("h1")).to_have_text("Your new account")
    assert violations(page) == []
    expect(page.get_by_label("Name")).to_have_value("camille.durand")
    page.get_by_label("Passphrase").fill("aaaaaaaaaaaaaaaa")
    page.get_by_role("button", name="Come in", exact=True).click()
    expect(page.locator("#problem")).to_be_visible()
    page.get_by_label("Passphrase").fill(PASSPHRASE)
    page.get_by_role("button", name="Come in", exact=True).click()
    expect(page.locator("h1")).to_have_text("Welcome, camille.durand")
    page.get_by_role("button", name="Show me my recovery code").click()
    expect(page.locator("#new-code")).to_be_visible()
    page.goto("/")
    ask_and_wait(page, "From Camille")
    page.goto("/settings")
    expect(page.locator("section[aria-labelledby=ways]")).to_contain_text("The town hall")
    assert violations(page) == []
    page.locator("#main").get_by_role("button", name="Sign out", exact=True).click()

    # the next time: the provider knows them already; the conversations open with the passphrase, and not before
    page.get_by_role("button", name="Sign in with The town hall").click()
    expect(page.locator("h1")).to_have_text("Open your conversations")
    page.goto("/settings")
    expect(page.locator("h1")).to_contain_text("sealed")
    page.goto("/unlock")
    page.get_by_label("Password or passphrase").fill(PASSPHRASE)
    page.get_by_role("button", name="Open", exact=True).click()
    page.goto("/search?q=Camille")
    expect(page.locator("main")).to_contain_text("From Camille")


def test_without_scripts_an_account_is_linked_and_signs_in(context, site: Site, canaille: Canaille, watch) -> None:
    watch.allowed += [*THEIRS, canaille.issuer, "401", "403"]
    page = context(java_script_enabled=False).new_page()
    page.goto(site.link())
    page.goto("/settings")
    page.get_by_role("button", name="Link The town hall").click()
    sign_in_there(page)
    page.get_by_role("button", name="Accept").click()
    expect(page).to_have_url(re.compile(r"/settings\?done=provider#ways$"))
    expect(page.get_by_text("From now on The town hall signs you in.")).to_be_visible()
    page.locator("#main").get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_role("button", name="Sign in with The town hall").click()
    expect(page.locator("#question")).to_be_visible()  # nothing was sealed yet that a new key would lose


def test_a_passkey_is_the_first_way_to_open_where_the_device_derives_a_secret(
    context, site: Site, canaille: Canaille, watch
) -> None:
    watch.allowed += [*THEIRS, canaille.issuer, "400", "401", "403"]
    page = context().new_page()
    device, number = authenticator(page, derives=False)
    page.goto(f"{site.url}/invitation/{site.run(site.app.state.services.invitations.make(Role.MEMBER))}")
    page.get_by_role("button", name="Come in with The town hall").click()
    sign_in_there(page)
    page.get_by_role("button", name="Accept").click()

    # a device that derives nothing: told, and nothing is left, neither here nor on the device
    page.get_by_role("button", name="Come in with a passkey").click()
    expect(page.locator("[data-passkey=join] [role=status]")).to_contain_text("derives no secret")
    assert violations(page) == []
    assert device.send("WebAuthn.getCredentials", {"authenticatorId": number})["credentials"] == []
    device.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": number})

    # one that does, on the same page
    authenticator(page, derives=True)
    page.get_by_role("button", name="Come in with a passkey").click()
    expect(page.locator("h1")).to_have_text("Welcome, camille.durand")
    page.goto(f"{site.url}/")
    ask_and_wait(page, "From Camille")
    page.goto(f"{site.url}/settings")
    page.locator("#main").get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_role("button", name="Sign in with The town hall").click()
    expect(page.locator("h1")).to_have_text("Open your conversations")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.locator("#list a")).to_have_text("From Camille")

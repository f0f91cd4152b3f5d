"""Invited, with a password, on a second device, with a recovery code: in a real browser."""

import re

from playwright.sync_api import Page, expect

from acts import ask_and_wait
from commun.store.people import Role
from site_server import Site
from test_accessibility import violations

PASSWORD = "four unrelated garden chairs"


def invitation(site: Site, role: Role = Role.MEMBER) -> str:
    return f"/invitation/{site.run(site.app.state.services.invitations.make(role))}"


def come_in(page: Page, site: Site, name: str, role: Role = Role.MEMBER) -> None:
    page.goto(invitation(site, role))
    page.get_by_label("Name to sign in with").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Come in").click()
    expect(page.locator("h1")).to_have_text(f"Welcome, {name}")


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_somebody_invited_keeps_a_code_tries_it_and_asks(context, site: Site, watch) -> None:
    watch.allowed.append("403")
    page = context().new_page()
    come_in(page, site, "Claire")
    page.get_by_role("button", name="Show me my recovery code").click()
    code = page.locator("#new-code").inner_text()
    page.get_by_role("link", name="I have it: try it now").click()
    page.get_by_label("Recovery code").fill(code[:-4] + "0000")
    page.get_by_role("button", name="Try it", exact=True).click()
    expect(page.locator("#code-problem")).to_be_visible()
    page.get_by_label("Recovery code").fill(code)
    page.get_by_role("button", name="Try it", exact=True).click()
    expect(page.locator("h1")).to_have_text("The code works")
    page.get_by_role("link", name="To your conversations").click()
    ask_and_wait(page, "From Claire")
    phone = context(viewport={"width": 390, "height": 780}).new_page()
    watch.allowed.append("401")
    phone.goto("/")
    sign_in(phone, "claire")
    expect(phone.locator("#question")).to_be_visible()
    phone.goto("/search?q=Claire")
    expect(phone.locator("main")).to_contain_text("From Claire")


def test_a_password_is_changed_and_the_other_browser_is_out(context, site: Site, watch) -> None:
    watch.allowed += ["401", "403"]
    page, other = context().new_page(), context().new_page()
    come_in(page, site, "Denis")
    other.goto("/sign-in")
    sign_in(other, "Denis", "not the password at all")
    expect(other.locator("#sign-in-problem")).to_contain_text("This name and this password do not go together.")
    expect(other.get_by_label("Name", exact=True)).to_have_value("Denis")
    sign_in(other, "Denis")
    expect(other.locator("#question")).to_be_visible()
    page.goto("/settings")
    page.get_by_label("Present password").fill(PASSWORD)
    page.get_by_label("New password").fill("seven quiet lamps in a row")
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_text("The password is set.")).to_be_visible()
    other.goto("/settings")
    expect(other.locator("h1")).to_have_text("You are not signed in.")
    sign_in(other, "Denis", "seven quiet lamps in a row")
    expect(other).to_have_url(re.compile("/settings$"))
    other.get_by_role("button", name="Sign out everywhere else").click()
    page.goto("/")
    expect(page.locator("h1")).to_have_text("You are not signed in.")


def test_the_founder_sets_a_password_and_keeps_the_conversations(page: Page, context, watch) -> None:
    ask_and_wait(page, "Before there was a password")
    page.goto("/settings")
    page.get_by_label("Name to sign in with").fill("Ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Set a password").click()
    expect(page.get_by_text("The password is set.")).to_be_visible()
    page.goto("/")
    expect(page.locator("#list a")).to_have_text("Before there was a password")
    page.goto("/settings")
    page.locator("#main").get_by_role("button", name="Sign out", exact=True).click()
    expect(page.locator("h1")).to_have_text("Sign in")
    sign_in(page, "Ada")
    expect(page.locator("#list a")).to_have_text("Before there was a password")


def test_axe_finds_nothing_where_people_come_in(context, site: Site, watch) -> None:
    watch.allowed += ["400", "401"]
    found = {}
    for scheme, locale in (("light", "en-GB"), ("dark", "fr-FR")):
        page = context(color_scheme=scheme, locale=locale, reduced_motion="reduce").new_page()
        for path in ("/sign-in", "/sign-in/code", "/", invitation(site)):
            page.goto(path)
            found[f"{path} {scheme}"] = violations(page)
        page.locator("#name").fill(f"Eve {scheme}")
        page.locator("#password").fill("short")
        page.locator("form").evaluate("(form) => { form.noValidate = true; form.submit(); }")
        page.locator("#problem").wait_for()
        found[f"refused {scheme}"] = violations(page)
        page.locator("#password").fill(PASSWORD)
        page.locator("main form button").click()
        page.wait_for_url("**/welcome")
        found[f"welcome {scheme}"] = violations(page)
        page.locator("main form button").click()
        page.locator("#new-code").wait_for()
        found[f"code {scheme}"] = violations(page)
        page.goto("/welcome/try")
        found[f"try {scheme}"] = violations(page)
        page.goto("/settings")
        found[f"settings {scheme}"] = violations(page)
    assert {name: each for name, each in found.items() if each} == {}

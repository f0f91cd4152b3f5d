"""Signing in, the settings, and the vault's recovery, in a real browser."""

import re

from playwright.sync_api import Page, expect

from acts import ask_and_wait
from site_server import Site


def test_the_page_of_a_stranger_names_the_way_in(context, watch) -> None:
    watch.allowed.append("401")
    page = context().new_page()
    page.goto("/")
    expect(page.locator("h1")).to_have_text("You are not signed in.")
    expect(page.locator("main")).to_contain_text("commun user link")


def test_a_link_works_once(context, site: Site, watch) -> None:
    watch.allowed.append("401")
    link = site.link()
    context().new_page().goto(link)
    second = context().new_page()
    second.goto(link)
    expect(second.locator("h1")).to_have_text("This sign-in link has been used or has expired.")


def test_the_cookie_is_out_of_reach_of_scripts(page: Page) -> None:
    (cookie,) = [each for each in page.context.cookies() if each["name"] == "commun_session"]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    assert "commun_session" not in page.evaluate("document.cookie")


def test_language_and_theme_are_kept(page: Page) -> None:
    page.goto("/settings")
    page.locator("#language").select_option("fr")
    expect(page.locator("h1")).to_have_text("Réglages")
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    page.get_by_label("Sombre").check()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto("/")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(25, 25, 23)"


def test_french_browsers_read_french(context, site: Site) -> None:
    page = context(locale="fr-FR").new_page()
    page.goto(site.link())
    expect(page.locator("h1")).to_have_text(re.compile("Que voulez-vous savoir"))


def test_an_api_key_is_shown_once_and_revoked(page: Page) -> None:
    page.goto("/settings")
    page.locator("#key-name").fill("my script")
    page.get_by_role("button", name="Make a key").click()
    key = page.locator("#new-key").inner_text()
    assert key.startswith("cm_")
    answer = page.request.get("/v1/models", headers={"Authorization": f"Bearer {key}"})
    assert answer.status == 200
    page.goto("/settings")
    expect(page.locator("#new-key")).to_have_count(0)
    expect(page.locator(".rows").first).to_contain_text("my script")
    page.get_by_role("button", name="Revoke the key my script").click()
    expect(page.get_by_text("my script")).to_have_count(0)


def test_a_recovery_code_opens_the_vault_in_another_browser(page: Page, context, site: Site, watch) -> None:
    watch.allowed.append("403")
    ask_and_wait(page, "Before the move")
    page.goto("/settings")
    page.get_by_role("button", name="Make one").click()
    code = page.locator("#new-code").inner_text()
    other = context().new_page()
    other.goto(site.link())
    expect(other.locator("h1")).to_have_text("Open your conversations")
    other.locator("#code").fill("nonsense")
    other.get_by_role("button", name="Open", exact=True).click()
    expect(other.locator("#code-problem")).to_be_visible()
    other.locator("#code").fill(code)
    other.get_by_role("button", name="Open", exact=True).click()
    expect(other.locator("#list a")).to_have_text("Before the move")
    page.reload()
    page.goto("/settings")
    page.get_by_role("button", name="Sign it out").click()
    expect(page.locator("#sessions ~ ul li")).to_have_count(1)
    watch.allowed.append("401")
    other.goto("/")
    expect(other.locator("h1")).to_have_text("You are not signed in.")


def test_starting_over_leaves_the_old_conversations_sealed(page: Page, context, site: Site) -> None:
    ask_and_wait(page, "Sealed for ever")
    other = context().new_page()
    other.goto(site.link())
    other.get_by_text("Start with an empty Commun").click()
    other.get_by_label("Type “start over”").fill("start over")
    other.get_by_role("button", name="Start over").click()
    expect(other.locator(".welcome h1")).to_be_visible()
    expect(other.locator("#list a")).to_have_count(0)


def test_signing_out_ends_the_session(page: Page, watch) -> None:
    watch.allowed.append("401")
    page.goto("/settings")
    page.locator("#main").get_by_role("button", name="Sign out", exact=True).click()
    expect(page.locator("h1")).to_have_text("Sign in")
    page.goto("/")
    expect(page.locator("h1")).to_have_text("You are not signed in.")


def test_an_unknown_conversation_is_a_page_that_leads_back(page: Page, watch) -> None:
    watch.allowed.append("404")
    page.goto("/c/nothing")
    expect(page.locator("h1")).to_have_text("There is nothing here.")
    page.get_by_role("link", name="To your conversations").click()
    expect(page.locator("#question")).to_be_visible()

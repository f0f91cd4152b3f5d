"""Coming in over plain HTTP: passwords, invitations, codes; what a stranger learns and what a thief can do."""

import contextlib
import re
from collections.abc import Iterator

import httpx2
import pytest

from commun.store.people import Role
from commun.web.attempts import FREE, Attempts, SignInAttempts
from commun.web.forms import own_path
from fake_engine import FakeEngine
from site_server import Site, serving

PASSWORD = "four unrelated garden chairs"
OTHER = "seven quiet lamps in a row"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("signing") / "home"
    with serving(home, FakeEngine(), sign_in_rate_limit="1000/minute") as running:
        yield running


@pytest.fixture(autouse=True)
def _nobody_waits_yet(site: Site) -> None:
    """And time stands still: however slow the machine, no wait ends."""
    site.app.state.sign_in_attempts = SignInAttempts(clock=lambda: 1000.0)
    site.app.state.name_attempts = Attempts(FREE, clock=lambda: 1000.0)


@contextlib.contextmanager
def invited(site: Site, name: str, role: Role = Role.MEMBER) -> Iterator[httpx2.Client]:
    """Somebody who came by an invitation, in a browser."""
    token = site.run(site.app.state.services.invitations.make(role))
    with httpx2.Client(base_url=site.url, timeout=60) as client:
        response = client.post(f"/invitation/{token}", data={"name": name, "password": PASSWORD})
        assert (response.status_code, response.headers["location"]) == (303, "/welcome")
        yield client


def sign_in(client: httpx2.Client, name: str, password: str = PASSWORD, **fields: str) -> httpx2.Response:
    return client.post("/sign-in", data={"name": name, "password": password, **fields})


def test_an_invitation_leads_to_a_first_question(site: Site, stranger: httpx2.Client) -> None:
    token = site.run(site.app.state.services.invitations.make(Role.MEMBER))
    for _ in range(2):  # looking does not spend it
        assert "You are invited" in stranger.get(f"/invitation/{token}").text
    short = stranger.post(f"/invitation/{token}", data={"name": "Ada <b>", "password": "short"})
    assert short.status_code == 400
    assert "Ada &lt;b&gt;" in short.text
    assert "short" not in re.findall(r'value="([^"]*)"', short.text)
    assert "commun_session" not in stranger.cookies
    stranger.post(f"/invitation/{token}", data={"name": "Ada", "password": PASSWORD})
    assert "Welcome, Ada" in stranger.get("/welcome").text
    assert stranger.get("/").status_code == 200
    assert stranger.post("/ask", data={"question": "Hello?"}).status_code == 303
    again = stranger.get(f"/invitation/{token}")
    assert (again.status_code, "invitation_over" in again.text) == (401, True)
    assert stranger.post(f"/invitation/{token}", data={"name": "Eve", "password": PASSWORD}).status_code == 401


def test_a_recovery_code_is_shown_once_and_tried(site: Site) -> None:
    with invited(site, "Berthe") as client:
        shown = client.post("/welcome/code").text
        code = re.search(r'id="new-code">([^<]+)<', shown)
        assert code
        assert code[1] not in client.get("/welcome").text + client.get("/settings").text
        assert client.post("/welcome/try", data={"code": code[1][:-1] + "0"}).status_code == 403
        tried = client.post("/welcome/try", data={"code": code[1].lower()})
        assert "The code works" in tried.text
    with httpx2.Client(base_url=site.url, timeout=60) as other:
        signed_in = other.post("/sign-in/code", data={"name": "berthe", "code": code[1]})
        assert signed_in.headers["location"] == "/settings#password"
        assert other.get("/").status_code == 200


def test_what_a_stranger_is_told_is_one_and_the_same(site: Site) -> None:
    chief = invited(site, "The Chief", Role.ADMINISTRATOR)
    with chief, invited(site, "Claire"), invited(site, "Claire Disabled") as gone:
        assert gone.get("/").status_code == 200
        services = site.app.state.services
        listed = site.run(services.administration.people())
        (disabled,) = (each.id for each in listed if each.name == "Claire Disabled")
        site.run(services.administration.disable(disabled))
        assert gone.get("/").status_code == 401
    told = set()
    for name, password in (("Claire", OTHER), ("Claire Disabled", PASSWORD), ("No Such One", OTHER), ("Claire", "")):
        with httpx2.Client(base_url=site.url, timeout=60) as client:
            failed = sign_in(client, name, password)
        headers = {key: value for key, value in failed.headers.items() if key not in {"date", "x-request-id"}}
        headers.pop("content-length")
        told.add((failed.status_code, failed.text.replace(name, "NAME"), tuple(sorted(headers.items()))))
    assert len(told) == 1
    assert next(iter(told))[0] == 401


def test_who_fails_waits_and_a_known_browser_does_not(site: Site) -> None:
    with invited(site, "Denis") as known:
        known.post("/sign-out")
        with httpx2.Client(base_url=site.url, timeout=60) as stranger:
            statuses = [sign_in(stranger, "Denis", OTHER).status_code for _ in range(8)]
            assert statuses == [401] * 6 + [429] * 2
            assert int(sign_in(stranger, "denis", PASSWORD).headers["retry-after"]) >= 1
            nobodys = [sign_in(stranger, "Nobody At All", OTHER).status_code for _ in range(8)]
            assert nobodys == statuses
        assert sign_in(known, "Denis").status_code == 303


def test_the_session_is_a_new_one_whatever_the_browser_brought(site: Site) -> None:
    with invited(site, "Élise") as client:
        former = client.cookies["commun_session"]
        signed_in = sign_in(client, "Élise")
        assert signed_in.status_code == 303
        assert client.cookies["commun_session"] != former
        with httpx2.Client(base_url=site.url, timeout=60, cookies={"commun_session": former}) as thief:
            assert thief.get("/").status_code == 401
    with httpx2.Client(base_url=site.url, timeout=60, cookies={"commun_session": "planted" * 6}) as fixed:
        sign_in(fixed, "Élise")
        assert [each.value for each in fixed.cookies.jar if each.value.startswith("planted")] in ([], ["planted" * 6])
    with httpx2.Client(base_url=site.url, timeout=60, cookies={"commun_session": "planted" * 6}) as attacker:
        assert attacker.get("/").status_code == 401


def test_changing_the_password_signs_out_everywhere_else_and_changes_the_cookie(site: Site) -> None:
    with invited(site, "Fanny") as client, httpx2.Client(base_url=site.url, timeout=60) as elsewhere:
        assert sign_in(elsewhere, "Fanny").status_code == 303
        former = client.cookies["commun_session"]
        wrong = client.post("/settings/password", data={"present": OTHER, "password": OTHER})
        assert (wrong.status_code, "This is not your present password." in wrong.text) == (403, True)
        short = client.post("/settings/password", data={"present": PASSWORD, "password": "short"})
        assert short.status_code == 400
        assert elsewhere.get("/").status_code == 200
        changed = client.post("/settings/password", data={"present": PASSWORD, "password": OTHER})
        assert changed.headers["location"] == "/settings?done=password#password"
        assert client.cookies["commun_session"] != former
        assert client.get("/settings").status_code == 200
        assert elsewhere.get("/").status_code == 401
        assert sign_in(elsewhere, "Fanny").status_code == 401
        assert sign_in(elsewhere, "Fanny", OTHER).status_code == 303


def test_the_present_password_is_not_guessed_with_a_stolen_cookie(site: Site) -> None:
    with invited(site, "Gaston") as client:
        guesses = [
            client.post("/settings/password", data={"present": f"{OTHER} {number}", "password": OTHER}).status_code
            for number in range(8)
        ]
        assert guesses == [403] * 6 + [429] * 2


def test_the_last_way_in_goes_only_after_a_warning(site: Site) -> None:
    with invited(site, "Hugo") as client:
        (way,) = re.findall(r"/settings/ways-in/(\w+)/remove", client.get("/settings").text)
        warned = client.post(f"/settings/ways-in/{way}/remove")
        assert (warned.status_code, "This is the last way in" in warned.text) == (403, True)
        assert sign_in(client, "Hugo").status_code == 303
        removed = client.post(f"/settings/ways-in/{way}/remove", data={"told": "yes"})
        assert removed.status_code == 303
        with httpx2.Client(base_url=site.url, timeout=60) as other:
            assert sign_in(other, "Hugo").status_code == 401
    with invited(site, "Irène") as client, invited(site, "Jules") as other:
        (way,) = re.findall(r"/settings/ways-in/(\w+)/remove", client.get("/settings").text)
        assert other.post(f"/settings/ways-in/{way}/remove", data={"told": "yes"}).status_code == 404


def test_signing_out_everywhere_else(site: Site) -> None:
    with invited(site, "Karim") as client, httpx2.Client(base_url=site.url, timeout=60) as elsewhere:
        sign_in(elsewhere, "Karim")
        assert "Sign out everywhere else" in client.get("/settings").text
        assert client.post("/settings/sessions/revoke-others").status_code == 303
        assert elsewhere.get("/").status_code == 401
        assert client.get("/").status_code == 200


def test_a_name_is_changed_and_taken_once(site: Site) -> None:
    with invited(site, "Léa") as client, invited(site, "Marc"):
        taken = client.post("/settings/name", data={"name": "MARC"})
        assert (taken.status_code, "Somebody else already has this name." in taken.text) == (400, True)
        assert client.post("/settings/name", data={"name": "Léa Blanc"}).status_code == 303
        with httpx2.Client(base_url=site.url, timeout=60) as other:
            assert sign_in(other, "Léa").status_code == 401
            assert sign_in(other, "léa blanc").status_code == 303


def test_whoever_may_choose_a_name_does_not_ask_for_one_after_another(site: Site) -> None:
    """Else a member, or whoever holds one invitation, would learn in a minute who is here."""
    token = site.run(site.app.state.services.invitations.make(Role.MEMBER))
    with invited(site, "Anouk"), invited(site, "Noé") as member, httpx2.Client(base_url=site.url, timeout=60) as guest:

        def as_member(name: str) -> httpx2.Response:
            return member.post("/settings/name", data={"name": name})

        def as_invited(name: str) -> httpx2.Response:
            return guest.post(f"/invitation/{token}", data={"name": name, "password": PASSWORD})

        for ask in (as_member, as_invited):
            assert ask("?").status_code == 400  # nobody's name: nothing is learnt, nothing is counted
            told = [ask("Anouk") for _ in range(FREE + 2)]
            assert [each.status_code for each in told] == [400] * (FREE + 1) + [429]
            assert int(told[-1].headers["retry-after"]) > 0
            assert ask("Nobody yet").status_code == 429
        assert sign_in(guest, "Noé").status_code == 303


def test_a_passphrase_opens_what_the_founders_link_left_shut(site: Site) -> None:
    with httpx2.Client(base_url=site.url, timeout=60) as founder, httpx2.Client(base_url=site.url, timeout=60) as other:
        assert founder.get(site.link()).headers["location"] == "/"
        founder.post("/ask", data={"question": "Mine?"})
        assert founder.post("/settings/passphrase", data={"passphrase": "short"}).status_code == 400
        assert founder.post("/settings/passphrase", data={"passphrase": OTHER}).status_code == 303
        assert other.get(site.link()).headers["location"] == "/unlock"
        assert other.post("/unlock", data={"words": PASSWORD}).status_code == 403
        locked = other.cookies["commun_session"]
        assert other.post("/unlock", data={"words": OTHER}).status_code == 303
        assert other.cookies["commun_session"] != locked
        assert "Mine?" in other.get("/").text


def test_somebody_is_sent_on_to_where_they_wanted_to_go_and_nowhere_else(site: Site) -> None:
    with invited(site, "Nadia") as client:
        client.post("/sign-out")
        asked = client.get("/settings?done=name")
        assert asked.status_code == 401
        assert 'name="next" value="/settings?done=name"' in asked.text
        assert sign_in(client, "Nadia", next="/settings?done=name").headers["location"] == "/settings?done=name"
        for elsewhere in ("//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"):
            client.post("/sign-out")
            assert sign_in(client, "Nadia", next=elsewhere).headers["location"] == "/"
            assert client.get("/sign-in", params={"next": elsewhere}).headers["location"] == "/"


@pytest.mark.parametrize(
    "wanted",
    ["", "c/1", "//a", "///a", "/\\a", "/a\nb", "/\x00", "/é", "http://a", "/" + "a" * 400, "/ \t", "\\/a", "/%0d\n"],
)
def test_what_is_no_path_of_ours_is_the_first_page(wanted: str) -> None:
    assert own_path(wanted) == "/"


def test_a_path_of_ours_is_itself() -> None:
    for wanted in ("/", "/c/abc?message=1#m-1", "/settings#password", "/search?q=a%20b"):
        assert own_path(wanted) == wanted


def test_another_site_cannot_sign_anybody_in(site: Site, stranger: httpx2.Client) -> None:
    headers = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    refused = stranger.post("/sign-in", data={"name": "Claire", "password": PASSWORD}, headers=headers)
    assert (refused.status_code, "cross_origin" in refused.text) == (403, True)


def test_a_cookie_behind_tls_is_the_hosts_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("tls") / "home"
    with serving(home, FakeEngine(), public_url="https://chat.example.org") as site:
        token = site.run(site.app.state.services.invitations.make(Role.MEMBER))
        headers = {"host": "chat.example.org", "origin": "https://chat.example.org"}
        with httpx2.Client(base_url=site.url, headers=headers, timeout=60) as client:
            response = client.post(f"/invitation/{token}", data={"name": "Olga", "password": PASSWORD})
        cookies = response.headers.get_list("set-cookie")
        assert sorted(each.split("=")[0] for each in cookies) == ["__Host-commun_known", "__Host-commun_session"]
        for each in cookies:
            assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= set(each.split("; "))

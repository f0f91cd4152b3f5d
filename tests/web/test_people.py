"""Administration over a whole Commun: who is invited, shut out, let in again, promoted; and that somebody always can."""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import insert, select, update

from commun.authority import Who
from commun.store.administration import LastAdministrator
from commun.store.people import Role
from commun.store.schema import accounts, invitations, sessions, unlocks, usage
from fake_engine import FakeEngine
from inhabitants import Person, inhabitant
from site_server import Site, serving

JSON = {"accept": "application/json"}
OFTEN = "1000000/minute"
LONG = "word " * 2000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("people") / "home"
    with serving(home, FakeEngine(), sign_in_rate_limit=OFTEN, rate_limit=OFTEN) as running:
        yield running


@pytest.fixture(scope="module")
def administrator(site: Site) -> Person:
    return inhabitant(site, Who.ADMINISTRATOR, name="Ada")


@pytest.fixture
def member(site: Site) -> Person:
    return inhabitant(site, name=f"Member {time.monotonic_ns()}")


def act(administrator: Person, path: str, **form: str) -> httpx2.Response:
    with administrator.browser() as client:
        return client.post(f"/people/{path}", data=form, headers=JSON)


def changed(response: httpx2.Response) -> None:
    assert response.status_code == 303, response.text


def stored(site: Site, query):
    return site.run(site.app.state.services.database.read(lambda connection: connection.execute(query).all()))


def written(site: Site, work) -> None:
    site.run(site.app.state.services.database.write(work))


def status(person: Person, path: str = "/") -> int:
    with person.browser() as client:
        return client.get(path).status_code


def with_password(site: Site, person: Person) -> None:
    """A way in besides the browser, as far as disabling asks."""
    vault = stored(site, select(accounts.c.vault_id).where(accounts.c.id == person.account_id))[0].vault_id
    row = {
        "id": f"u{time.monotonic_ns()}",
        "account_id": person.account_id,
        "vault_id": vault,
        "kind": "password",
        "name": "",
        "parameters": "{}",
        "wrapped_key": b"sealed",
        "created": time.time(),
    }
    written(site, lambda connection: connection.execute(insert(unlocks), row))


# --- whom it knows


def test_the_page_tells_names_roles_days_and_counts(site: Site, administrator: Person, member: Person) -> None:
    day = int(time.time() // 86_400)
    used = {"account_id": member.account_id, "tokens_read": 1000, "tokens_written": 234}
    rows = [
        {**used, "day": day, "key_id": "", "answers": 3},
        {**used, "day": day, "key_id": "k1", "answers": 4},
        {**used, "day": day - 20, "key_id": "", "answers": 5},
    ]
    written(site, lambda connection: connection.execute(insert(usage), rows))
    with administrator.browser() as client:
        everybody = client.get("/people").text
        person = client.get(f"/people/{member.account_id}").text
    name = stored(site, select(accounts.c.name).where(accounts.c.id == member.account_id))[0].name
    assert re.search(rf">{name}</a>.*?7 answers in 7 days", everybody, re.DOTALL)
    assert re.findall(r"<td>([\d,]+)</td>", person) == ["7", "2,468", "5", "1,234", "12", "3,702"]
    today = datetime.now(UTC).date()
    assert f"last here on {today.day} {today:%B} {today.year}" in person
    assert not re.search(r"\d\d:\d\d", everybody + person)  # days, not moments


def test_nobody_else_sees_it(member: Person) -> None:
    with member.browser(follow_redirects=True) as client:
        assert client.get("/people").status_code == 403
        assert "/people" not in client.get("/settings").text


def test_an_administrator_finds_it_in_the_settings(administrator: Person, member: Person) -> None:
    with administrator.browser() as client:
        assert 'href="/people"' in client.get("/settings").text
    for person in (administrator, member):
        with person.browser() as client:
            assert 'href="/what-we-can-see"' in client.get("/settings").text


# --- inviting


def test_an_invitation_is_a_link_that_is_shown_once_and_makes_what_it_says(site: Site, administrator: Person) -> None:
    with administrator.browser() as client:
        made = client.post("/people/invitations", data={"note": "for  Bob", "role": "member", "days": "7"}).text
        link = re.search(r'<code id="new-link">([^<]+)/invitation/([^<]+)</code>', made)
        assert link
        assert link[1] == site.url
        again = client.get("/people").text
        assert "for Bob" in again
        assert link[2] not in again
    accepted = site.run(site.app.state.services.invitations.accept(link[2], "Bob", "correct horse battery staple"))
    assert accepted.viewer.role is Role.MEMBER
    with administrator.browser() as client:
        page = client.get("/people").text
    assert "for Bob" not in page
    assert ">Bob</a>" in page


def test_a_withdrawn_invitation_opens_nothing(site: Site, administrator: Person) -> None:
    with administrator.browser() as client:
        made = client.post("/people/invitations", data={"note": "Eve", "role": "administrator", "days": "1"}).text
        token = re.search(r"/invitation/([^<]+)</code>", made)
        revoke = re.findall(r'action="/people/(invitations/\w+/revoke)"', made)
    assert token
    changed(act(administrator, revoke[0]))
    from commun.store.invitations import InvitationOver

    with pytest.raises(InvitationOver):
        site.run(site.app.state.services.invitations.find(token[1]))
    assert act(administrator, revoke[0]).status_code == 404


@pytest.mark.parametrize("form", [{"days": "8", "role": "member"}, {"days": "7", "role": "founder"}, {}])
def test_an_invitation_that_nobody_offers_is_not_made(site: Site, administrator: Person, form: dict[str, str]) -> None:
    before = stored(site, select(invitations))
    assert act(administrator, "invitations", **form).status_code == 400
    assert stored(site, select(invitations)) == before


# --- shutting out


def test_disabling_ends_sessions_keys_and_invitations_at_once(site: Site, administrator: Person) -> None:
    other = inhabitant(site, Who.ADMINISTRATOR, name=f"Other {time.monotonic_ns()}")
    with_password(site, other)
    key = other.new_key()
    assert act(other, "invitations", note="backdoor", role="administrator", days="30").status_code == 200
    models = {"url": f"{site.url}/v1/models", "headers": {"authorization": f"Bearer {key}"}}
    assert (status(other), httpx2.get(**models).status_code) == (200, 200)  # both are remembered now
    changed(act(administrator, f"{other.account_id}/disable"))
    assert (status(other), httpx2.get(**models).status_code) == (401, 401)
    assert stored(site, select(invitations).where(invitations.c.made_by == other.account_id)) == []
    assert stored(site, select(sessions).where(sessions.c.account_id == other.account_id)) == []
    changed(act(administrator, f"{other.account_id}/enable"))
    assert (status(other), httpx2.get(**models).status_code) == (401, 401)  # they come in by their own way


def test_who_has_no_other_way_in_does_not_lose_their_vault(site: Site, administrator: Person, member: Person) -> None:
    conversation, _answer = member.ask("canary-vault")
    changed(act(administrator, f"{member.account_id}/disable"))
    assert status(member, f"/c/{conversation}") == 401
    changed(act(administrator, f"{member.account_id}/enable"))
    assert status(member, f"/c/{conversation}") == 200


def test_a_running_answer_is_stopped_and_its_stream_closed(site: Site, administrator: Person, member: Person) -> None:
    site.engine.answer, site.engine.delay_s = LONG, 0.05
    try:
        with member.browser() as client:
            asked = client.post("/ask", data={"question": "?"}, headers=JSON).json()
            answer = re.search(r"/answers/(\w+)/", asked["main"])
            assert answer
            with client.stream("GET", f"/answers/{answer[1]}/events") as events:
                lines = events.iter_lines()
                while "event: update" not in next(lines):
                    pass
                changed(act(administrator, f"{member.account_id}/disable"))
                rest = list(lines)
        assert not any(line == "event: end" for line in rest)
        deadline = time.monotonic() + 120
        while site.engine.running and time.monotonic() < deadline:
            time.sleep(0.01)
        assert site.engine.running == 0
    finally:
        site.engine.answer, site.engine.delay_s = "Short.", 0


@pytest.mark.parametrize("stream", [True, False])
def test_a_programs_running_answer_is_cut(site: Site, administrator: Person, member: Person, stream: bool) -> None:
    key = member.new_key()
    body = {"model": "default", "messages": [{"role": "user", "content": "?"}], "stream": stream}
    site.engine.answer, site.engine.delay_s = LONG, 0.05
    told: list[str] = []

    def call() -> None:
        headers = {"authorization": f"Bearer {key}"}
        told.append(httpx2.post(f"{site.url}/v1/chat/completions", json=body, headers=headers, timeout=120).text)

    try:
        caller = threading.Thread(target=call)
        caller.start()
        deadline = time.monotonic() + 120
        while not site.engine.running and time.monotonic() < deadline:
            time.sleep(0.01)
        changed(act(administrator, f"{member.account_id}/disable"))
        caller.join(120)
    finally:
        site.engine.answer, site.engine.delay_s = "Short.", 0
    (answer,) = told
    assert "error" in answer
    assert "[DONE]" not in answer


def test_a_question_that_was_on_its_way_is_not_answered(site: Site, administrator: Person, member: Person) -> None:
    """Its head was let in before; its body comes after."""
    calls = len(site.engine.calls)

    def body() -> Iterator[bytes]:
        yield b"question="
        time.sleep(0.3)
        changed(act(administrator, f"{member.account_id}/disable"))
        yield b"late"

    headers = {"content-type": "application/x-www-form-urlencoded", **JSON}
    with member.browser() as client:
        client.post("/ask", content=body(), headers=headers)
    time.sleep(0.2)
    assert len(site.engine.calls) == calls
    changed(act(administrator, f"{member.account_id}/enable"))
    member.ask()
    assert len(site.engine.calls) == calls + 1


# --- roles


def test_a_role_is_given_and_taken(site: Site, administrator: Person, member: Person) -> None:
    changed(act(administrator, f"{member.account_id}/role", role="administrator"))
    assert status(member, "/people") == 200
    assert act(member, "invitations", note="x", role="member", days="1").status_code == 200
    changed(act(administrator, f"{member.account_id}/role", role="member"))
    assert status(member, "/people") == 403
    assert stored(site, select(invitations).where(invitations.c.made_by == member.account_id)) == []
    assert act(administrator, f"{member.account_id}/role", role="founder").status_code == 400


def test_the_last_administrator_stays_one(tmp_path: Path) -> None:
    with serving(tmp_path / "home", FakeEngine()) as site:
        only = inhabitant(site, Who.ADMINISTRATOR, name="Only")
        for path, form in (("disable", {}), ("role", {"role": "member"})):
            refused = act(only, f"{only.account_id}/{path}", **form)
            assert (refused.status_code, refused.json()["error"]["code"]) == (409, "last_administrator")
            assert status(only, "/people") == 200
        other = inhabitant(site, Who.ADMINISTRATOR, name="Other")
        disabled = update(accounts).where(accounts.c.id == other.account_id).values(disabled=1.0)
        written(site, lambda connection: connection.execute(disabled))
        assert act(only, f"{only.account_id}/role", role="member").status_code == 409  # the other cannot sign in


def test_two_who_demote_each_other_at_once_leave_one(tmp_path: Path) -> None:
    with serving(tmp_path / "home", FakeEngine()) as site:
        two = [inhabitant(site, Who.ADMINISTRATOR) for _ in range(2)]
        administration = site.app.state.services.administration

        async def both() -> list[object]:
            acts = (administration.set_role(two[0].account_id, Role.MEMBER), administration.disable(two[1].account_id))
            return await asyncio.gather(*acts, return_exceptions=True)

        results = site.run(both())
        assert [type(each) for each in results].count(LastAdministrator) == 1
        left = select(accounts).where(accounts.c.role == "administrator", accounts.c.disabled.is_(None))
        assert len(stored(site, left)) == 1


# --- quotas


def test_a_quota_is_a_number_or_nothing(site: Site, administrator: Person, member: Person) -> None:
    path = f"{member.account_id}/quota"
    columns = select(accounts.c.daily_tokens, accounts.c.at_once).where(accounts.c.id == member.account_id)
    changed(act(administrator, path, daily_tokens="20 000", at_once="2"))
    assert tuple(stored(site, columns)[0]) == (20_000, 2)
    with administrator.browser() as client:
        assert 'value="20000"' in client.get(f"/people/{member.account_id}").text
    for wrong in ("-1", "1.5", "x", "9" * 30, "٣"):
        assert act(administrator, path, daily_tokens=wrong, at_once="").status_code == 400
    assert tuple(stored(site, columns)[0]) == (20_000, 2)
    changed(act(administrator, path, daily_tokens="", at_once=""))
    assert tuple(stored(site, columns)[0]) == (None, None)


def test_nobody_is_there_under_an_unknown_id(administrator: Person) -> None:
    unknown = "a" + "0" * 23
    with administrator.browser() as client:
        assert client.get(f"/people/{unknown}").status_code == 404
    for path, form in (("disable", {}), ("enable", {}), ("role", {"role": "member"}), ("quota", {})):
        assert act(administrator, f"{unknown}/{path}", **form).status_code == 404

"""The table of ``authority.py``, cell by cell, over a real server; and every id as somebody else's, disabled, signed out."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from commun.app import create_app
from commun.authority import ANY, LOWEST, TABLE, WITH_KEY, Door, Who, refusal
from commun.config import load_settings
from commun.doors import leaves, methods_of, put_doors
from fake_engine import FakeEngine
from inhabitants import Person, everything_stored, inhabitant
from site_server import Site, serving

JSON = {"accept": "application/json"}
PAGES = sorted(row for row, door in TABLE.items() if door not in WITH_KEY)
PROGRAMS = sorted(row for row, door in TABLE.items() if door in WITH_KEY)
REFUSED = {"not_signed_in", "vault_locked", "refused", "not_for_guests"}
PLACE = re.compile(r"{(\w+)(?::path)?}")
UNKNOWN = {
    "conversation": "c" + "0" * 23,
    "answer": "a" + "0" * 23,
    "receipt": "0" * 64,
    "key": "k" + "0" * 23,
    "session": "s" + "0" * 23,
    "share": "h" + "0" * 23,
    "folder": "f" + "0" * 23,
    "sent": "n" + "0" * 23,
    "way": "w" + "0" * 23,
    "reader": "r" + "0" * 23,
    "reading": "r" + "1" * 23,
}
# Whose each address is: what its id names. An address with an id that stands in neither list fails a test.
OWNED = {
    "/c/{id}": "conversation",
    "/folders/{id}": "folder",
    "/answers/{id}": "answer",
    "/settings/keys/{id}": "key",
    "/settings/sessions/{id}": "session",
    "/settings/shares/{id}": "share",
    "/settings/sent/{id}": "sent",
    "/sent/{id}": "sent",  # whose page it is, too: the administrators' to whom it was sent
    "/settings/ways-in/{id}": "way",
    "/receipt/{id}": "receipt",
    "/v1/receipts/{receipt}": "receipt",
    "/readers/{id}": "reader",  # who reads a conversation of theirs
    "/reading/{id}": "reading",  # a conversation of somebody else's that they read
}
NOBODYS = (
    "/charter/", "/board/", "/ledger/", "/static/", "/witness/", "/v1/models/",
    "/share/", "/invitation/", "/with/",  # whoever has the link may
    "/people/",  # accounts and invitations, all of them an administrator's
    "/models/",  # on this machine, nobody's
    "/classes/",  # classes, all of them an administrator's
)  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    often = "1000000/minute"
    home = tmp_path_factory.mktemp("authority") / "home"
    with serving(home, FakeEngine(), sign_in_rate_limit=often, rate_limit=often, public_shares=True) as running:
        yield running


@pytest.fixture(scope="module")
def owner(site: Site) -> Person:
    """A member with one of everything."""
    made = inhabitant(site)
    made.fill()
    made.send_to(inhabitant(site, Who.ADMINISTRATOR))
    made.things["reader"] = made.share_with(inhabitant(site), made.things["conversation"])
    other = inhabitant(site)
    conversation, answer = other.ask()
    made.things["reading"] = other.share_with(made, conversation)
    made.things["receipt that is read"] = site.receipt_of(answer)
    return made


def with_id(path: str, thing_id: str, owner: Person) -> str:
    """``thing_id`` in the place of what the address is of; where it names a receipt beside it, one that is there."""
    beside = path.startswith("/reading/")
    return address(path, id=thing_id, receipt=owner.things["receipt that is read"] if beside else thing_id)


def address(path: str, **ids: str) -> str:
    return PLACE.sub(lambda found: ids.get(found[1], "1" * 24), path)


def test_every_route_has_a_row_and_every_row_a_route(site: Site) -> None:
    served = {f"{method} {path}" for path, route in leaves(site.app.routes) for method in methods_of(route)}
    assert served == TABLE.keys()


def test_a_route_without_a_row_is_not_served(tmp_path: Path) -> None:
    from starlette.routing import Route

    app = create_app(load_settings(home=tmp_path), engine=FakeEngine())
    assert len(list(leaves(app.routes))) > 70
    for route in (Route("/backdoor", app), Route("/settings", app, methods=["DELETE"])):
        with pytest.raises(RuntimeError, match=route.path):
            put_doors([route])


@pytest.mark.parametrize("row", PAGES)
@pytest.mark.parametrize("who", list(Who), ids=lambda who: who.name.lower())
def test_a_page_opens_for_whom_its_row_says_and_for_nobody_else(site: Site, row: str, who: Who) -> None:
    method, path = row.split()
    with inhabitant(site, who).browser() as client:
        response = client.request("GET" if method == ANY else method, address(path), headers=JSON)
    code = response.json()["error"]["code"] if is_refusal(response) else ""
    expected = refusal(TABLE[row], who)
    if expected is None:
        assert code not in REFUSED, (row, who)
    else:
        assert (response.status_code, code) == (expected.status, expected.code)


def is_refusal(response: httpx2.Response) -> bool:
    return response.status_code in (401, 403) and response.headers["content-type"].startswith("application/json")


@pytest.fixture(scope="module")
def shut_out(site: Site) -> Person:
    """Whoever had one of everything, a key too, until an administrator disabled the account."""
    inhabitant(site, Who.ADMINISTRATOR)  # there is always one
    made = inhabitant(site, Who.ADMINISTRATOR)
    made.fill()
    made.things |= {"sent": UNKNOWN["sent"], "reader": UNKNOWN["reader"]}
    made.things |= {"reading": UNKNOWN["reading"], "receipt that is read": made.things["receipt"]}
    site.run(site.app.state.services.administration.disable(made.account_id))
    return made


@pytest.fixture(scope="module")
def asleep(site: Site) -> Person:
    """Likewise, with no way in but this browser: its session is kept for the day on which the account is enabled."""
    made = inhabitant(site)
    made.ask()
    site.run(site.app.state.services.administration.disable(made.account_id))
    return made


@pytest.mark.parametrize("row", PAGES)
def test_a_disabled_person_is_a_stranger_at_every_door(site: Site, shut_out: Person, asleep: Person, row: str) -> None:
    method, path = row.split()
    verb, theirs = "GET" if method == ANY else method, shut_out.things.get(owned_thing(path), shut_out.account_id)
    expected = refusal(TABLE[row], Who.STRANGER)
    for who in (shut_out, asleep):
        with who.browser() as client:
            found = client.request(verb, with_id(path, theirs, shut_out), headers=JSON)
        code = found.json()["error"]["code"] if is_refusal(found) else ""
        if expected is None:
            assert code not in REFUSED, row
            assert shut_out.account_id not in found.text, row
        else:
            assert (found.status_code, code) == (expected.status, expected.code), row


@pytest.mark.parametrize("row", PROGRAMS)
def test_a_disabled_persons_key_opens_nothing(site: Site, shut_out: Person, row: str) -> None:
    method, path = row.split()
    far = {"x-forwarded-for": "192.0.2.1", "authorization": f"Bearer {shut_out.key}"}
    given = {"model": "default", "messages": [{"role": "user", "content": "?"}], "prompt": "?"}
    found = httpx2.request(
        method,
        site.url + with_id(path, shut_out.things["receipt"], shut_out),
        headers=far,
        json=given if method == "POST" else None,
    )
    assert found.status_code == 401


@pytest.mark.parametrize("row", PROGRAMS)
def test_a_programs_address_opens_for_a_key_and_for_no_cookie(site: Site, owner: Person, row: str) -> None:
    method, path = row.split()
    far = {"x-forwarded-for": "192.0.2.1"}  # as if a proxy had passed it on: not from this machine

    def status(**headers: str) -> int:
        with httpx2.Client(base_url=site.url, headers=far) as client:
            return client.request(method, address(path), headers=headers, content=b"").status_code

    assert status(authorization=f"Bearer {owner.key}") in {200, 400, 404}
    assert status() == 401
    assert status(authorization="Bearer cm_wrong") == 401
    assert status(cookie=f"commun_session={owner.token}") == 401
    near = httpx2.request(method, site.url + address(path))
    assert near.status_code == (200 if TABLE[row] is Door.NEAR else 401)


@pytest.mark.parametrize("row", [row for row in PAGES if LOWEST[TABLE[row]] > Who.STRANGER])
def test_a_key_opens_no_page(site: Site, owner: Person, row: str) -> None:
    method, path = row.split()
    response = httpx2.request(method, site.url + address(path), headers={"authorization": f"Bearer {owner.key}"})
    assert response.status_code == 401


def test_every_address_with_an_id_is_known_to_be_somebodys_or_nobodys() -> None:
    for row in TABLE:
        path = row.split()[1]
        if PLACE.search(path):
            assert path.startswith(NOBODYS) != bool(owned_thing(path)), path


def owned_thing(path: str) -> str:
    return next((thing for beginning, thing in OWNED.items() if path.startswith(beginning)), "")


@pytest.mark.parametrize("row", [row for row in TABLE if owned_thing(row.split()[1])])
@pytest.mark.parametrize("who", [Who.MEMBER, Who.ADMINISTRATOR], ids=lambda who: who.name.lower())
def test_somebody_elses_id_is_answered_word_for_word_like_one_that_is_not(
    site: Site, owner: Person, row: str, who: Who
) -> None:
    method, path = row.split()
    thing = owned_thing(path)
    other = inhabitant(site, who)
    headers = JSON | ({"authorization": f"Bearer {other.new_key()}"} if TABLE[row] is Door.KEY else {})
    form = {"question": "x", "message": owner.things["answer"], "title": "t", "days": "7"} if method == "POST" else None
    before = everything_stored(site)

    def answered(thing_id: str) -> tuple[int, str, str]:
        with other.browser() as client:
            found = client.request(method, with_id(path, thing_id, owner), data=form, headers=headers)
        return found.status_code, found.headers.get("content-type", ""), found.text.replace(thing_id, "…")

    theirs, unknown = answered(owner.things[thing]), answered(UNKNOWN[thing])
    assert theirs == unknown
    if TABLE[row] is Door.ADMINISTRATOR and who is Who.MEMBER:
        assert theirs[0] == 403, "an address of administration, where an id tells a member nothing"
    else:
        assert theirs[0] == (204 if path.endswith("/events") else 404)
    assert everything_stored(site) == before


@pytest.mark.parametrize("row", [row for row in PAGES if owned_thing(row.split()[1])])
def test_a_guest_learns_from_no_id_whether_there_is_one(site: Site, owner: Person, row: str) -> None:
    method, path = row.split()
    thing = owned_thing(path)
    guest = inhabitant(site, Who.GUEST)
    before = everything_stored(site)

    def answered(thing_id: str) -> tuple[int, str]:
        with guest.browser() as client:
            found = client.request(method, with_id(path, thing_id, owner), headers=JSON)
        return found.status_code, found.text.replace(thing_id, "…")

    theirs = answered(owner.things[thing])
    assert theirs == answered(UNKNOWN[thing])
    opens = refusal(TABLE[row], Who.GUEST) is None
    assert theirs[0] == ((204 if path.endswith("/events") else 404) if opens else 403)
    assert everything_stored(site) == before


@pytest.mark.parametrize("row", [row for row in TABLE if owned_thing(row.split()[1])])
def test_whose_id_it_is_makes_no_difference_to_who_is_signed_out(site: Site, owner: Person, row: str) -> None:
    method, path = row.split()
    thing = owned_thing(path)

    def answered(thing_id: str) -> tuple[int, str]:
        found = httpx2.request(method, site.url + with_id(path, thing_id, owner), headers=JSON)
        return found.status_code, found.text

    theirs = answered(owner.things[thing])
    assert theirs == answered(UNKNOWN[thing])
    assert theirs[0] == (404 if TABLE[row] is Door.PUBLIC else 401)


@pytest.mark.parametrize("row", [row for row in TABLE if re.search(r"/(people|classes)/.*{", row)])
def test_a_member_learns_from_no_id_of_administration_whether_there_is_one(site: Site, owner: Person, row: str) -> None:
    method, path = row.split()

    def answered(account_id: str) -> tuple[int, str]:
        with inhabitant(site).browser() as client:
            found = client.request(method, address(path, id=account_id), headers=JSON)
        return found.status_code, found.text

    theirs = answered(owner.account_id)
    assert theirs == answered("a" + "0" * 23)
    assert theirs[0] == 403


def test_the_same_ids_are_there_for_their_owner(site: Site, owner: Person) -> None:
    """Else the tests above would be true of anything."""
    with owner.browser() as client:
        for path in ("/c/{id}", "/c/{id}/export.json", "/receipt/{id}", "/receipt/{id}/bundle", "/receipt/{id}/share"):
            response = client.get(address(path, id=owner.things[owned_thing(path)]))
            assert response.status_code == 200, path
        assert client.get(f"/folders/{owner.things['folder']}").status_code == 200
        for path in ("/reading/{id}", "/reading/{id}/export.json", "/reading/{id}/receipt/{receipt}"):
            assert client.get(with_id(path, owner.things["reading"], owner)).status_code == 200, path
        settings = client.get("/settings").text
    for thing in ("key", "session", "share"):
        assert f"/{owner.things[thing]}/revoke" in settings
    assert f"/settings/sent/{owner.things['sent']}/withdraw" in settings
    assert f"/settings/ways-in/{owner.things['way']}/remove" in settings
    assert f"/readers/{owner.things['reader']}/end" in settings

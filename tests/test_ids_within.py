"""Ids that stand in a form or behind a question mark: somebody else's is answered like one that nobody has, everywhere.

The ids in the addresses themselves are tried in ``test_authority.py``.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx2
import pytest

from commun.authority import Who
from fake_engine import FakeEngine
from inhabitants import Person, everything_stored, inhabitant
from site_server import Site, serving

JSON = {"accept": "application/json"}
NOBODYS = "0" * 24
OFTEN = "1000000/minute"


@dataclass(frozen=True)
class Within:
    """One place for an id: ``given`` in a form, or ``asked`` behind the question mark; of a ``thing``. The address is
    one's own. ``status``: of the refusal; 200: nothing is refused, and nothing of the thing is shown.
    """

    row: str
    thing: str
    given: dict[str, str] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    status: int = 404

    def __str__(self) -> str:
        return f"{self.row} {self.thing}"


ID = "ID"
PLACES = [
    Within("POST /ask", "folder", {"question": "?", "folder": ID}),
    Within("POST /c/{conversation}/ask", "answer", {"question": "?", "parent": ID}),
    Within("POST /c/{conversation}/edit", "question", {"question": "?", "message": ID}),
    Within("POST /c/{conversation}/again", "answer", {"message": ID}),
    Within("POST /c/{conversation}/branch", "answer", {"message": ID}),
    Within("POST /c/{conversation}/feedback", "answer", {"message": ID, "thumb": "down"}),
    Within("GET /c/{conversation}/feedback", "answer", asked={"message": ID}),
    Within("GET /c/{conversation}", "answer", asked={"message": ID}),
    Within("GET /reading/{reading}", "answer", asked={"message": ID}),
    Within("GET /reading/{reading}/receipt/{}", "receipt"),
    Within("GET /reading/{reading}/receipt/{}/bundle", "receipt"),
    Within("POST /c/{conversation}/move", "folder", {"folder": ID}),
    Within("GET /", "folder", asked={"folder": ID}, status=200),
    Within("GET /", "conversation", asked={"deleted": ID}, status=200),
    Within("GET /search", "conversation", asked={"q": ID}, status=200),
    Within("POST /receipt/{receipt}/send", "account", {"named": "yes", "to": ID, "thumb": "down"}, status=409),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("within") / "home"
    with serving(home, FakeEngine(), rate_limit=OFTEN, sign_in_rate_limit=OFTEN, public_shares=True) as running:
        inhabitant(running, Who.ADMINISTRATOR)  # to whom single answers can be sent
        yield running


def with_question(person: Person) -> Person:
    person.fill()
    with person.browser() as client:
        tree = client.get(f"/c/{person.things['conversation']}/export.json").json()
    person.things["question"] = next(each["id"] for each in tree["messages"] if each["role"] == "user")
    person.things["account"] = person.account_id
    return person


@pytest.fixture(scope="module")
def owner(site: Site) -> Person:
    return with_question(inhabitant(site))


@pytest.fixture(scope="module")
def other(site: Site) -> Person:
    """Whoever tries, with one of everything of their own, and a conversation of a third person's to read."""
    made, third = with_question(inhabitant(site)), inhabitant(site)
    made.things["reading"] = third.share_with(made, third.ask()[0])
    return made


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_somebody_elses_id_within_a_request_is_like_one_that_nobody_has(
    site: Site, owner: Person, other: Person, place: Within
) -> None:
    before, tries = everything_stored(site), itertools.count(1)

    def answered(thing_id: str) -> tuple[int, str]:
        with other.browser(headers=JSON) as client:
            found = sent(client, place, other, thing_id)
        assert found.status_code == place.status, (next(tries), found.text)
        return found.status_code, found.text.replace(thing_id, ID)

    assert answered(owner.things[place.thing]) == answered(NOBODYS)
    assert everything_stored(site) == before


@pytest.mark.parametrize("place", [each for each in PLACES if each.status == 404], ids=str)
def test_ones_own_is_found_there(site: Site, owner: Person, place: Within) -> None:
    """Else the test above would be true of anything."""
    third = inhabitant(site)
    conversation, answer = third.ask()
    own = {"reading": third.share_with(owner, conversation), "receipt": site.receipt_of(answer)}
    within = {"answer": answer, "receipt": own["receipt"]} if "{reading}" in place.row else owner.things
    visitor = Person(site, owner.account_id, owner.token, things=owner.things | {"reading": own["reading"]})
    with visitor.browser(headers=JSON) as client:
        assert sent(client, place, visitor, within[place.thing]).status_code in {200, 303}


def sent(client: httpx2.Client, place: Within, person: Person, thing_id: str) -> httpx2.Response:
    method, path = place.row.replace("{}", thing_id).split()
    form = {name: thing_id if value == ID else value for name, value in place.given.items()}
    asked = {name: thing_id if value == ID else value for name, value in place.asked.items()}
    return client.request(method, path.format(**person.things), params=asked, data=form if method == "POST" else None)

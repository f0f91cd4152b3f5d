"""A person's tokens of a day and answers at once: refused clearly on page and API, counted, and set for one or for all."""

import asyncio
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import select, update

from api.test_errors import problem
from commun.api.text_completions import AT_ONCE
from commun.store.schema import api_keys
from fake_engine import FakeEngine
from inhabitants import Person, inhabitant
from site_server import Site, serving

CHAT = {"model": "default", "messages": [{"role": "user", "content": "Why is that so?"}]}
DAILY = 60
ANSWER = "one two three four five six seven eight nine ten"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home: Path = tmp_path_factory.mktemp("quotas") / "home"
    with serving(home, FakeEngine(ANSWER), daily_tokens=DAILY, rate_limit="1000000/minute", max_running=4) as running:
        yield running


@pytest.fixture
def member(site: Site) -> Person:
    person = inhabitant(site)
    person.new_key()
    return person


def called(person: Person, **body: object) -> httpx2.Response:
    head = {"authorization": f"Bearer {person.key}"}
    return httpx2.post(f"{person.site.url}/v1/chat/completions", headers=head, json=CHAT | body, timeout=120)


def spent(person: Person) -> int:
    """Counting is posted, before the answer is told: whatever waits for the writer sees it."""
    usage = person.site.app.state.services.assistant._quotas._usage
    person.site.run(usage._database.check_writable())
    return person.site.run(usage.allowances(person.account_id))[0].used


def allow(person: Person, *, daily_tokens: int | None = None, at_once: int | None = None) -> None:
    administration = person.site.app.state.services.administration
    person.site.run(administration.set_quota(person.account_id, daily_tokens=daily_tokens, at_once=at_once))


def test_what_the_model_read_and_wrote_is_counted(member: Person) -> None:
    usage = called(member).json()["usage"]
    assert spent(member) == usage["total_tokens"] > 10


def test_once_a_day_s_tokens_are_used_up_a_program_is_told_when_to_come_back(member: Person) -> None:
    for _ in range(DAILY):
        refused = called(member)
        if refused.status_code != 200:
            break
    error = problem(refused, 429, "insufficient_quota")
    assert error["type"] == "rate_limit_error"
    assert f"The {DAILY} tokens that you may use in a day are used up." in error["message"]
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    assert spent(member) >= DAILY
    text = httpx2.post(
        f"{member.site.url}/v1/completions",
        headers={"authorization": f"Bearer {member.key}"},
        json={"model": "default", "prompt": "Once"},
    )
    problem(text, 429, "insufficient_quota")


@pytest.mark.parametrize("wish", [{"max_tokens": 20}, {"max_tokens": 0, "echo": True, "logprobs": 1}])
def test_many_texts_in_one_request_are_many_questions(member: Person, wish: dict[str, object]) -> None:
    several = httpx2.post(
        f"{member.site.url}/v1/completions",
        headers={"authorization": f"Bearer {member.key}"},
        json={"model": "default", "prompt": ["Why is that so"] * 128} | wish,
        timeout=120,
    )
    problem(several, 429, "insufficient_quota")
    assert DAILY <= spent(member) < DAILY + AT_ONCE * 20, "those that had begun are written to their end"


def test_a_page_says_so_too_in_the_reader_s_language_and_stores_no_question(member: Person) -> None:
    allow(member, daily_tokens=0)
    with member.browser(headers={"accept": "application/json", "accept-language": "en"}) as client:
        for path in ("/ask", "/temporary"):
            refused = client.post(path, data={"question": "Why?"})
            assert refused.status_code == 429
            assert refused.json()["error"]["code"] == "daily_tokens_used"
            assert 0 < int(refused.headers["retry-after"]) <= 86_400
        listed = client.get("/", headers={"accept": "text/html"}).text
    assert "/c/" not in listed


def test_an_administrator_s_number_is_one_person_s_alone(site: Site, member: Person) -> None:
    other = inhabitant(site)
    other.new_key()
    allow(member, daily_tokens=0)
    assert called(member).status_code == 429
    assert called(other).status_code == 200
    allow(member, daily_tokens=10**6)
    assert called(member).status_code == 200
    allow(member)
    assert called(member).status_code == 200


def test_a_key_may_have_less_than_its_owner(site: Site, member: Person) -> None:
    change = update(api_keys).where(api_keys.c.account_id == member.account_id).values(daily_tokens=1)
    site.run(site.app.state.services.database.write(lambda connection: connection.execute(change)))
    assert called(member).status_code == 200
    assert called(member).status_code == 429
    member.new_key()
    assert called(member).status_code == 200


def test_its_owner_gives_a_key_less_in_the_settings(member: Person) -> None:
    allow(member, daily_tokens=10**6)
    with member.browser(headers={"accept-language": "en"}) as client:
        wrong = client.post("/settings/keys", data={"name": "a", "daily_tokens": "many"})
        assert wrong.status_code == 400
        made = client.post("/settings/keys", data={"name": "a lesson", "daily_tokens": "4 0", "at_once": "1"}).text
    assert "a lesson" in made
    assert "Tokens in a day: 40" in made
    assert "Answers at once: 1" in made
    (member.key,) = re.findall(r'id="new-key">(cm_[^<]+)<', made)
    statuses = [called(member).status_code for _ in range(40)]
    assert statuses[0] == 200
    assert statuses[-1] == 429


def test_one_person_s_flood_leaves_another_a_place(tmp_path: Path) -> None:
    """Twelve long answers are asked for at once; at most the person's own number runs, and another's is not behind."""
    gate = asyncio.Event()
    engine = FakeEngine("word " * 30, gate=gate)
    with serving(tmp_path / "home", engine, max_running=4, max_waiting=64, rate_limit="1000000/minute") as site:
        flooder, victim = inhabitant(site), inhabitant(site)
        for person in (flooder, victim):
            person.new_key()
        allow(flooder, at_once=2)
        threads = [threading.Thread(target=called, args=(flooder,), daemon=True) for _ in range(12)]
        for thread in threads:
            thread.start()
        assistant = site.app.state.services.assistant
        while assistant.running + assistant.waiting < 12:
            threading.Event().wait(0.01)
        assert (assistant.running, assistant.waiting) == (2, 10)
        mine = threading.Thread(target=called, args=(victim,), daemon=True)
        mine.start()
        while assistant.running < 3:
            threading.Event().wait(0.01)
        assert (assistant.running, assistant.waiting) == (3, 10)
        site.loop.call_soon_threadsafe(gate.set)
        for thread in (mine, *threads):
            thread.join(120)
        assert engine.most_running <= 3


def test_a_queue_that_was_filled_beforehand_does_not_outlast_the_days_tokens(tmp_path: Path) -> None:
    """Twelve questions are asked while none of the day's tokens is used; one runs at a time, and uses more than all."""
    gate = asyncio.Event()
    with serving(tmp_path / "home", FakeEngine(ANSWER, gate=gate), rate_limit="1000000/minute") as site:
        flooder = inhabitant(site)
        flooder.new_key()
        allow(flooder, daily_tokens=5, at_once=1)
        told: list[httpx2.Response] = []
        threads = [threading.Thread(target=lambda: told.append(called(flooder)), daemon=True) for _ in range(12)]
        for thread in threads:
            thread.start()
        assistant = site.app.state.services.assistant
        while assistant.running + assistant.waiting < 12:
            threading.Event().wait(0.01)
        site.loop.call_soon_threadsafe(gate.set)
        for thread in threads:
            thread.join(120)
        assert sorted(each.status_code for each in told) == [200] + 11 * [429]
        answered = next(each for each in told if each.status_code == 200).json()["usage"]["total_tokens"]
        assert spent(flooder) == answered


def test_what_a_key_used_is_counted_for_it_and_for_its_owner(site: Site, member: Person) -> None:
    called(member)
    query = select(api_keys.c.id).where(api_keys.c.account_id == member.account_id)
    (key,) = site.run(site.app.state.services.database.read(lambda connection: connection.execute(query).one()))
    usage = site.app.state.services.assistant._quotas._usage
    assert site.run(usage.allowances(member.account_id, key))[1].used == spent(member)

"""The pages over plain HTTP: who may see them, what stands in their heads, what never happens."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from commun.web.assets import asset, files
from fake_engine import FakeEngine
from site_server import Site, serving

JSON = {"Accept": "application/json"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("pages") / "home", FakeEngine()) as running:
        yield running


def asked(member: httpx2.Client, question: str = "Hello?") -> dict[str, str]:
    """A finished conversation, as our script sees it."""
    data = member.post("/ask", data={"question": question}, headers=JSON).json()
    answer = re.findall(r'id="m-(\w+)" data-id="\w+"', data["main"])[-1]
    member.get(f"/answers/{answer}/events")
    return {"url": data["url"], "answer": answer}


def test_another_site_can_change_nothing(member: httpx2.Client) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        response = member.post("/ask", data={"question": "x"}, headers=headers)
        assert response.status_code == 403
        assert "cross_origin" in response.text


def test_a_page_forbids_what_it_does_not_need(member: httpx2.Client) -> None:
    response = member.get("/")
    policy = response.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'; trusted-types commun" in policy
    assert response.headers["cache-control"] == "no-store"
    assert " style=" not in response.text
    assert not re.search(r"<script(?![^>]* src=)", response.text)
    assert not re.search(r"\son\w+=", response.text)


def test_static_files_are_kept_for_ever_under_their_hash_only(stranger: httpx2.Client) -> None:
    for name in files():
        response = stranger.get(asset(name))
        assert response.status_code == 200
        assert "immutable" in response.headers["cache-control"]
    assert "no-cache" in stranger.get("/static/000000000000/app.css").headers["cache-control"]
    for path in ("../pages.py", "%2e%2e/pages.py", "..%2f..%2fconfig.py", "vendor/vendor.lock", "nothing.css"):
        assert stranger.get(f"/static/x/{path}").status_code in {
            307,
            404,
        }  # 307: /static/pages.py, to itself with a slash


def test_a_link_is_not_spent_by_a_browser_that_looks_ahead(site: Site) -> None:
    link = site.link()
    with httpx2.Client() as client:
        assert client.get(link, headers={"Sec-Purpose": "prefetch;prerender"}).status_code == 204
        assert client.head(link).status_code == 204
        assert client.get(link).status_code == 303
        assert client.get(link).status_code == 401


def test_behind_https_the_cookie_is_bound_to_this_host(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "home", FakeEngine(), public_url="https://chat.example.org") as site,
        httpx2.Client() as client,
    ):
        cookie = client.get(site.link()).headers["set-cookie"]
    assert cookie.startswith("__Host-commun_session=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= {part.strip() for part in cookie.split(";")}
    assert "Domain" not in cookie


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("fr-CA,fr;q=0.9,en;q=0.5", "fr"), ("en;q=0.4, fr;q=0.2", "en"), ("de", "en"), ("", "en"), ("fr;q=x", "en")],
)
def test_an_error_speaks_the_browsers_language(stranger: httpx2.Client, accepted: str, language: str) -> None:
    response = stranger.get("/", headers={"Accept-Language": accepted})
    assert response.headers["content-language"] == language
    assert {"en": "You are not signed in.", "fr": "Vous n’êtes pas connecté."}[language] in response.text


def test_errors_have_one_shape_for_scripts(stranger: httpx2.Client, member: httpx2.Client) -> None:
    for response in (
        stranger.get("/", headers=JSON),
        member.get("/c/x", headers=JSON),
        member.post("/ask", data={}, headers=JSON),
    ):
        assert set(response.json()["error"]) == {"code", "problem", "cure"}


def test_an_empty_question_is_refused(member: httpx2.Client) -> None:
    assert member.post("/ask", data={"question": "  \r\n "}).status_code == 400


def test_half_a_character_in_a_history_is_a_question_mark(member: httpx2.Client) -> None:
    history = r'[{"role":"user","text":"a\ud800b"},{"role":"assistant","text":"\udfff"}]'
    page = member.post("/temporary", data={"question": "And now?", "history": history})
    assert page.status_code == 200
    assert "a?b" in page.text
    assert "ud800" not in page.text


def test_a_history_that_is_none_is_refused(member: httpx2.Client) -> None:
    for history in ("x", "{}", "[1]", '[{"role":"system","text":"x"}]', '[{"role":"user"}]'):
        response = member.post("/temporary", data={"question": "x", "history": history}, headers=JSON)
        assert response.status_code == 400, history


def test_the_exports_hold_all_branches_and_the_shown_one(member: httpx2.Client) -> None:
    chat = asked(member, "Export?")
    assert member.post(f"{chat['url']}/again", data={"message": chat["answer"]}).status_code == 200
    exported = json.loads(member.get(f"{chat['url']}/export.json").text)
    assert exported["format"] == "commun-conversation/1"
    assert [message["role"] for message in exported["messages"]] == ["user", "assistant", "assistant"]
    markdown = member.get(f"{chat['url']}/export.md")
    assert markdown.headers["content-disposition"].startswith("attachment")
    assert markdown.text.count("scripted answer") == 1


def test_events_can_be_read_again_until_their_end(member: httpx2.Client) -> None:
    chat = asked(member)
    stream = member.get(f"/answers/{chat['answer']}/events").text
    numbers = [int(each) for each in re.findall(r"^id: (\d+)$", stream, re.MULTILINE)]
    assert numbers == sorted(numbers)
    assert "event: end" in stream
    again = member.get(f"/answers/{chat['answer']}/events", headers={"Last-Event-ID": str(numbers[1])}).text
    assert "event: reset" in again
    assert "scripted" in again
    assert (
        member.get(f"/answers/{chat['answer']}/events", headers={"Last-Event-ID": str(numbers[-1])}).status_code == 204
    )
    assert member.get(f"/answers/{chat['answer']}/events?after={numbers[-1]}").status_code == 204
    assert member.get("/answers/unknown/events").status_code == 204
    for odd in ("²", "9" * 5000, "-1"):
        assert member.get(f"/answers/{chat['answer']}/events", params={"after": odd}).status_code == 200


def test_a_question_under_a_message_of_another_conversation_is_refused(member: httpx2.Client) -> None:
    first, second = asked(member, "One"), asked(member, "Two")
    response = member.post(f"{second['url']}/ask", data={"question": "x", "parent": first["answer"]}, headers=JSON)
    assert response.status_code == 404


def test_asking_too_often_is_refused_with_a_time_to_wait(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "home", FakeEngine(), rate_limit="2/minute") as site,
        httpx2.Client(base_url=site.url, follow_redirects=True) as client,
    ):
        client.get(site.link())
        for _ in range(2):
            assert client.post("/temporary", data={"question": "x"}, headers=JSON).status_code == 200
        response = client.post("/temporary", data={"question": "x"}, headers=JSON)
        assert response.status_code == 429
        assert int(response.headers["retry-after"]) > 0

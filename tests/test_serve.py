"""`commun serve` as a stranger meets it: real process, real engine, real model, real database."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from founded import SHORT_ANSWERS, found_for_tests
from running import BROWSER, RunningCommun, with_models

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def commun(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[RunningCommun]:
    home = with_models(tmp_path_factory.mktemp("serve") / "home", models)
    found_for_tests(home, SHORT_ANSWERS)
    with RunningCommun(home, log_format="json") as running:
        running.wait_ready()
        yield running


def finished(client: httpx2.Client, answer_id: str) -> str:
    """Follows an answer's events to their end."""
    with client.stream("GET", f"/answers/{answer_id}/events") as events:
        return "".join(line for line in events.iter_lines() if line)


def ask(client: httpx2.Client, question: str) -> tuple[str, str]:
    """Ids of the new conversation and its answer."""
    reply = client.post("/ask", data={"question": question}).raise_for_status().text
    conversation = re.search(r"/c/([\w-]+)/", reply)
    answer = re.search(r"/answers/([\w-]+)/", reply)
    assert conversation
    assert answer
    return conversation[1], answer[1]


def test_the_printed_link_signs_in_once_and_the_page_answers(commun: RunningCommun) -> None:
    client = commun.sign_in()
    conversation, answer = ask(client, "What is the capital of France?")
    assert "event: end" in finished(client, answer)
    page = client.get(f"/c/{conversation}", headers={"accept": "text/html"}).text
    assert "What is the capital of France?" in page
    stranger = httpx2.Client(base_url=commun.url, headers=BROWSER)
    assert stranger.get(f"/sign-in?token={commun.token}").status_code == 401
    assert stranger.get(f"/c/{conversation}").status_code == 401


def test_a_key_made_on_the_running_instance_answers_as_openai_does(commun: RunningCommun) -> None:
    key = commun.api_key()
    reply = httpx2.post(
        f"{commun.url}/v1/chat/completions",
        headers={"authorization": f"Bearer {key}"},
        json={
            "model": "default",
            "messages": [{"role": "user", "content": "Say hello."}],
            "max_tokens": 8,
            "seed": 1,
            "logprobs": True,
        },
        timeout=60,
    ).json()
    assert reply["choices"][0]["message"]["content"]
    assert reply["usage"]["completion_tokens"] == len(reply["choices"][0]["logprobs"]["content"]) <= 8


def test_the_same_seed_gives_the_same_answer(commun: RunningCommun) -> None:
    key = commun.api_key()
    ask = {"model": "default", "messages": [{"role": "user", "content": "Name a colour."}], "max_tokens": 16, "seed": 5}

    def answer() -> str:
        reply = httpx2.post(
            f"{commun.url}/v1/chat/completions", headers={"authorization": f"Bearer {key}"}, json=ask, timeout=60
        )
        return reply.json()["choices"][0]["message"]["content"]

    assert answer() == answer()


def test_health_and_readiness_tell_the_truth_without_a_key(commun: RunningCommun) -> None:
    assert httpx2.get(f"{commun.url}/healthz").status_code == 200
    assert httpx2.get(f"{commun.url}/readyz").json()["engine"] == "ready"


def test_a_second_serve_on_the_same_data_folder_is_refused_in_words(commun: RunningCommun) -> None:
    with pytest.raises(AssertionError, match="Another Commun is already using the data folder"):
        RunningCommun(commun.home)


def test_the_terminal_answers_a_piped_question_alone_on_standard_output(commun: RunningCommun) -> None:
    answer = commun.command("chat", "--seed", "3", text="What is two plus two?")
    assert answer.strip()
    assert answer == commun.command("chat", "--seed", "3", text="What is two plus two?")


def test_logs_are_json_lines_where_the_settings_say_so(commun: RunningCommun) -> None:
    lines = [line for line in commun.output if line.startswith("{")]
    assert lines
    for line in lines:
        json.loads(line)


def test_conversations_survive_a_restart_with_the_same_cookie(tmp_path: Path, models: Path) -> None:
    home = with_models(tmp_path / "home", models)
    found_for_tests(home, SHORT_ANSWERS)
    with RunningCommun(home) as first:
        first.wait_ready()
        client = first.sign_in()
        conversation, answer = ask(client, "Remember the word heliotrope.")
        finished(client, answer)
    with RunningCommun(home) as second:
        second.wait_ready()
        again = httpx2.Client(base_url=second.url, headers=BROWSER, cookies=client.cookies)
        page = again.get(f"/c/{conversation}", headers={"accept": "text/html"}).text
        assert "heliotrope" in page
        assert second.sign_in(again).get(f"/c/{conversation}").status_code == 200

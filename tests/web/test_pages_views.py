"""What pages show: answers as they stream, titles, days, figures, failures, in both languages."""

import asyncio
import datetime as dt
import json
import random
import time
from dataclasses import replace
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from charters import CHARTER, Fixed, in_force
from commun import errors
from commun.assistant.engines import Terms
from commun.assistant.turn import Answer, Began, Done, Queued, Turn
from commun.charter.clauses import Retention
from commun.charter.edition import InForce
from commun.engine.base import Delta, Sampling
from commun.errors import CommunError
from commun.store.conversations import MessageState, Summary
from commun.web.i18n import choose_language, long_date, number, translator
from commun.web.live import AnswerStream
from commun.web.render import render_markdown, split_reasoning
from commun.web.sidebar import day_label, group_by_day, marked
from commun.web.transcript import answer_view, prompt_message, title_of
from commun.web.visit import zone_named
from fake_engine import FakeEngine
from made_receipt import made_receipt

TEXTS = [
    "Plain words.",
    "# Title\n\n- one\n- two\n\n```python\nprint(1)\n```\n\nand | not a table\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nend",
    "<think>First *this*,\n\nthen that.</think>\n\nThe **answer**.",
    "<think>never closed",
    "  <thin> is no mark",
    "$$\n\\frac{1}{2}\n$$\nafter",
    "",
]


def finished_turn(text: str, pieces: int, seed: int) -> Turn:
    """A turn whose answer came in pieces that end anywhere."""
    cuts = sorted(random.Random(seed).choices(range(len(text) + 1), k=pieces))
    parts = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    turn = Turn("t", Terms(in_force(), FakeEngine()))
    turn.tell(Queued(2))
    turn.tell(Began(10, 0))
    for part in parts:
        turn.events.append(Delta((1,), part, (-0.1,)))
    sampling = Sampling(seed=1, max_tokens=9, temperature=0.5)
    answer = Answer(
        text=text, token_ids=(1,) * 9, logprobs=(), finish_reason="stop", prompt_tokens=10, completion_tokens=9,
        dropped_messages=0, queued_s=0, first_token_s=0.1, total_s=1.1, energy_wh=0.01, energy_method="estimated",
        sampling=sampling, engine=None, edition=1, charter="0" * 64, persona="", language="en", stale=False,
    )  # fmt: skip
    turn.tell(Done(answer, made_receipt("t")))
    return turn


def shown(events: list[str]) -> dict[str, str]:
    """What a browser that takes these events shows in the end."""
    parts = {"thought": ["", ""], "answer": ["", ""]}
    for event in events:
        fields = dict(line.split(": ", 1) for line in event.strip().split("\n"))
        if fields.get("event") == "update":
            data = json.loads(fields["data"])
            part = parts[data["where"]]
            part[0] += data["frozen"]
            part[1] = data.get("tail", part[1] + data.get("append", ""))
    return {where: frozen + tail for where, (frozen, tail) in parts.items()}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("seed", range(4))
def test_a_stream_ends_in_what_the_whole_answer_renders_to(text: str, seed: int) -> None:
    turn = finished_turn(text, pieces=12, seed=seed)

    async def read() -> list[str]:
        stream = AnswerStream(turn, "en")
        return [event async for event in stream.events()]

    thought, answer = split_reasoning(text)
    assert shown(asyncio.run(read())) == {"thought": render_markdown(thought), "answer": render_markdown(answer)}


@pytest.mark.parametrize("text", TEXTS)
def test_a_stream_in_pieces_ends_in_the_same(text: str) -> None:
    """Each delta told on its own, as to a reader who is there from the beginning."""
    turn = finished_turn(text, pieces=15, seed=7)
    stream = AnswerStream(turn, "en")
    told = [piece for event in turn.events for piece in stream._told(event)]
    events = [f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in told]
    thought, answer = split_reasoning(text)
    assert shown(events) == {"thought": render_markdown(thought), "answer": render_markdown(answer)}


def test_the_last_event_carries_the_seal_and_to_a_page_that_keeps_all_alone_what_opens_it() -> None:
    turn = finished_turn("Because.", pieces=2, seed=1)
    name, data = AnswerStream(turn, "en")._told(turn.events[-1])[-1]
    receipt = turn.events[-1].receipt
    assert name == "end"
    assert f'href="/receipt/{receipt.statement.receipt}"' in data["seal"]
    assert "disclosed" not in data
    _name, data = AnswerStream(turn, "en", disclosing=True)._told(turn.events[-1])[-1]
    assert data["disclosed"]["answer_text"]["value"] == "Because."
    assert data["disclosed"]["schema"] is None


def test_a_title_is_cut_between_words() -> None:
    assert title_of("Short  question\nwith lines") == "Short question with lines"
    long = title_of("word " * 40)
    assert long.endswith("word…")
    assert len(long) <= 61
    assert title_of("x" * 200) == "x" * 60 + "…"
    assert title_of("   ") == ""


def visit(language: str = "en", zone: str = "Europe/Paris", charter: InForce | None = None) -> SimpleNamespace:
    return SimpleNamespace(
        translate=translator(language),
        language=language,
        local=lambda moment: dt.datetime.fromtimestamp(moment, ZoneInfo(zone)),
        services=SimpleNamespace(charter=Fixed(charter or in_force())),
    )


def test_days_are_the_readers_own() -> None:
    today = dt.date(2026, 11, 22)
    labels = [day_label(visit("fr"), today - dt.timedelta(days=days), today) for days in (0, 1, 2, 7, 8, 30, 31, 400)]
    assert labels == [
        "Aujourd’hui",
        "Hier",
        "7 jours précédents",
        "7 jours précédents",
        "30 jours précédents",
        "30 jours précédents",
        "octobre",
        "octobre 2025",
    ]


def test_the_list_keeps_the_stores_order_and_knows_the_open_one() -> None:
    summaries = [
        Summary("b", "Newer", 0, time.time(), running=True),
        Summary("a", "Older", 0, time.time() - 9e6, running=False),
    ]
    groups = group_by_day(visit(), summaries, "a")
    assert [[(item.id, item.current, item.running) for item in group.items] for group in groups] == [
        [("b", False, True)],
        [("a", True, False)],
    ]


def test_the_list_says_what_the_charter_ends_within_a_week_and_counts_from_an_import() -> None:
    day, now = 86_400, time.time()
    summaries = [
        Summary("far", "Far", 0, now - 22 * day, running=False),
        Summary("near", "Near", 0, now - 24 * day, running=False),
        Summary("brought", "Brought in", 0, now - 999 * day, running=False, imported=now - 25 * day),
    ]
    rules = in_force(replace(CHARTER, retention=Retention(30)))
    items = {item.id: item.ends for group in group_by_day(visit(charter=rules), summaries, "") for item in group.items}
    local = visit().local
    assert items == {
        "far": "",
        "near": long_date(local(now + 6 * day).date(), "en"),
        "brought": long_date(local(now + 5 * day).date(), "en"),
    }
    held = in_force(replace(CHARTER, retention=Retention(30, dt.date(2998, 1, 1))))
    groups = group_by_day(visit(charter=held), summaries, "")
    assert {item.ends for group in groups for item in group.items} == {""}, "nothing ends before the hold does"


@pytest.mark.parametrize("name", ["../etc/passwd", "Nowhere/City", "a" * 99, "/etc/localtime", "Europe", "", "é"])
def test_a_zone_that_is_none_is_utc(name: str) -> None:
    assert str(zone_named(name)) == "UTC"


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_stored_failure_reads_as_a_sentence(language: str) -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CommunError)]
    for code in [*(kind.code for kind in kinds), "unknown"]:
        problem = answer_view("m", {"text": "", "error": code}, MessageState.FAILED, language).problem
        assert problem
        assert "%" not in problem


def test_dates_are_written_as_the_language_does() -> None:
    assert long_date(dt.date(2026, 11, 22), "en") == "22 November 2026"
    assert long_date(dt.date(2026, 11, 1), "fr") == "1er novembre 2026"


def test_figures_are_written_as_the_language_does() -> None:
    assert number(1234.5, 1, "en") == "1,234.5"
    assert number(1234.5, 1, "fr") == "1\u202f234,5"


def test_the_cost_says_its_method_and_nothing_where_nothing_was_counted() -> None:
    content = finished_turn("x", 1, 1).events[-1].answer.as_content()
    view = answer_view("m", content, MessageState.COMPLETE, "fr")
    assert view.summary == "9\u202fjetons · 8,0 jetons/s · 0,010\u00a0Wh".replace("9\u202fjetons", "9 jetons")
    assert any("estimée" in fact.note for fact in view.facts)
    assert answer_view("m", {"text": ""}, MessageState.RUNNING, "fr").facts == ()


def test_the_model_reads_its_answers_without_their_reasoning() -> None:
    assert prompt_message("assistant", "<think>hm</think>Yes.").content == "Yes."
    assert prompt_message("assistant", "  ") is None
    assert prompt_message("user", "<think>mine</think>").content == "<think>mine</think>"


def test_found_words_are_marked_and_everything_is_escaped() -> None:
    assert marked("see <b>Ada</b> here", "ada") == "see &lt;b&gt;<mark>Ada</mark>&lt;/b&gt; here"
    assert marked("nothing", "zzz") == "nothing"


@pytest.mark.parametrize(
    ("setting", "accepted", "chosen"),
    [("fr", "en", "fr"), ("", "fr", "fr"), ("", "es, fr;q=0.5", "fr"), ("", "en;q=0", "en"), ("xx", "fr", "fr")],
)
def test_the_setting_comes_before_the_browser(setting: str, accepted: str, chosen: str) -> None:
    assert choose_language(setting, accepted) == chosen

"""What a member, or a stranger, can make the board's pages do: bounded, done once, and off the event loop."""

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from board_home import SYSTEM, BoardHome, board_home, with_system
from commun.charter import comparison, words
from commun.charter.amendment import sign
from commun.charter.comparison import MOST_SHOWN, MOST_STEPS_OF_ALL
from commun.drafting import desk as desks
from commun.web import board_views, charter, paper
from commun.web.board_views import SHORT, tell
from commun.web.kept import KeptViews
from fake_engine import FakeEngine
from site_server import serving

JSON = {"Accept": "application/json"}
TOO_LONG = "Too long to be shown here"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> BoardHome:
    return board_home(tmp_path_factory.mktemp("board") / "home")


@pytest.fixture
def board(made: BoardHome, tmp_path: Path) -> BoardHome:
    """Each test has its own copy."""
    return replace(made, home=shutil.copytree(made.home, tmp_path / "home"))


@pytest.fixture
def client(board: BoardHome) -> Iterator[httpx2.Client]:
    with (
        serving(board.home, FakeEngine(), sign_in_rate_limit="1000/minute") as site,
        httpx2.Client(base_url=site.url, timeout=60, follow_redirects=True) as made,
    ):
        yield made


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads in which what a document or an edition changes was worked out."""
    threads: list[str] = []

    def counted(make: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            threads.append(threading.current_thread().name)
            return make(*args)

        return call

    monkeypatch.setattr(board_views, "tell", counted(tell))
    monkeypatch.setattr(charter, "change_groups", counted(charter.change_groups))
    return threads


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of each comparison of two texts."""
    spent: list[int] = []
    diff = words.diff

    def counted(before: str, after: str, **bounds: Any) -> Any:
        pieces, taken = diff(before, after, **bounds)
        spent.append(taken)
        return pieces, taken

    monkeypatch.setattr(comparison.words, "diff", counted)
    return spent


HOSTILE = {
    "one word of accents apart": "a\u0301" * 80_000,
    "one word of Cyrillic": "\u0430" * 100_000,
    "lines": "a\n" * 120_000 + "b",
    "signs": ". " * 20_000 + ".." * 20_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_one_members_document_cannot_make_the_board_work_for_long(
    client: httpx2.Client, board: BoardHome, steps: list[int], name: str
) -> None:
    document = board.propose(with_system(HOSTILE[name]), by=("Ada",))
    for address in ("/board", f"/board/{document.id}"):
        page = client.get(address)
        assert page.status_code == 200
        assert len(page.text) < 6 * MOST_SHOWN
    assert len(client.get("/board").text) < 2 * SHORT
    assert sum(steps) < MOST_STEPS_OF_ALL


def test_a_file_that_is_not_shown_whole_says_so_and_is_not_offered_to_the_browser(
    client: httpx2.Client, board: BoardHome
) -> None:
    document = board.propose(with_system("\u0430" * 100_000), by=("Ada",))
    page = client.get(f"/board/{document.id}").text
    assert TOO_LONG in page
    assert "Too long to be compared here" in page
    assert f'data-file="{SYSTEM}"' not in page
    assert 'data-file="charter.toml"' in page


def test_texts_that_are_compared_by_lines_say_so(client: httpx2.Client, board: BoardHome) -> None:
    lines = "".join(f"Rule {number}.\n" for number in range(10_000))
    document = board.propose(with_system(lines), by=("Ada",))
    assert "compared line by line" in client.get(f"/board/{document.id}").text


def test_the_first_of_many_odd_characters_are_named_and_the_others_counted(
    client: httpx2.Client, board: BoardHome
) -> None:
    document = board.propose(with_system("".join(map(chr, range(0xE000, 0xE000 + 70)))), by=("Ada",))
    page = client.get(f"/board/{document.id}").text
    assert "and 20 more unusual characters" in page
    assert "U+E045" in page  # the last one, in the text itself


def test_a_document_is_worked_out_once_for_each_language_and_off_the_event_loop(
    client: httpx2.Client, board: BoardHome, told: list[str]
) -> None:
    document = board.propose(with_system("Be brief."))
    for _ in range(3):
        for address in ("/board", f"/board/{document.id}", "/board?lang=fr"):
            assert client.get(address).status_code == 200
    assert len(told) == 2
    board.desk.keep(sign(document, board.keys["Ada"].signer, now=document.proposed))
    assert "1 of 2 signed" in client.get(f"/board/{document.id}").text  # another reading, the same text
    assert len(told) == 2
    client.get("/charter/editions/2")
    client.get("/charter/editions/2")
    assert len(told) == 3
    assert all(name.startswith("asyncio_") for name in told)


def test_a_strangers_file_is_not_read_before_a_member_signed_it(
    client: httpx2.Client, board: BoardHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = board.propose(with_system("Be brief."), by=("Ada",))
    board.desk.withdraw(document.id)
    read: list[bytes] = []
    monkeypatch.setattr(desks, "read_document", read.append)
    copied = document.to_bytes().replace(b"Be brief.", b"Be rude!" + rb"\n" * 1_000_000)
    answer = client.post("/board/upload", files={"file": ("x", copied)}, headers=JSON)
    assert (answer.status_code, read) == (422, [])


@pytest.mark.parametrize("name", ["0123456789ab.amendment", "0123456789ab.amendment.staged", "notes.txt"])
def test_a_stray_file_hides_no_page(client: httpx2.Client, board: BoardHome, name: str) -> None:
    document = board.propose(with_system("Be brief."))
    (board.home / "charter" / "amendments" / name).symlink_to("/etc/hostname")
    assert document.id in client.get("/board").text
    for address in ("/charter", "/charter/charter.zip"):
        assert client.get(address).status_code == 200


# ---- what is kept


def test_views_are_made_one_at_a_time_and_once() -> None:
    running = most = made = 0

    def make() -> int:
        nonlocal running, most, made
        running += 1
        most = max(most, running)
        made += 1
        threading.Event().wait(0.02)
        running -= 1
        return made

    async def ask() -> None:
        views = KeptViews()
        await asyncio.gather(*(views.get(number % 3, make) for number in range(12)))

    asyncio.run(ask())
    assert (most, made) == (1, 3)


def test_a_view_whose_asker_has_gone_is_finished_before_the_next_begins() -> None:
    begun, finish = threading.Event(), threading.Event()
    order: list[str] = []

    def slow() -> str:
        begun.set()
        finish.wait(120)
        order.append("slow")
        return "slow"

    async def ask() -> str:
        views = KeptViews()
        gone = asyncio.create_task(views.get("slow", slow))
        await asyncio.to_thread(begun.wait, 120)
        gone.cancel()
        other = asyncio.create_task(views.get("other", lambda: order.append("other")))
        await asyncio.sleep(0.05)
        assert order == []
        finish.set()
        await other
        return await views.get("slow", lambda: "again")

    assert asyncio.run(ask()) == "slow"
    assert order == ["slow", "other"]


def test_what_was_used_longest_ago_goes_first_and_failures_are_not_kept() -> None:
    async def ask() -> None:
        views = KeptViews(most=2)
        assert [await views.get(key, key.upper) for key in ("a", "b", "a", "c")] == ["A", "B", "A", "C"]
        assert await views.get("a", lambda: "new") == "A"
        assert await views.get("b", lambda: "new") == "new"
        with pytest.raises(ZeroDivisionError):
            await views.get("d", lambda: 1 // 0)
        assert await views.get("d", lambda: 1) == 1

    asyncio.run(ask())


def test_a_note_is_text_and_not_markup() -> None:
    work = comparison.Work(characters=3)
    assert paper.whole("<b>", "en", work) == "&lt;b&gt;"
    assert TOO_LONG in paper.whole("<b>", "en", work)

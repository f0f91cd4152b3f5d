"""The page for staff representatives: every column of every table, the same for everybody who is signed in."""

import itertools
import re
from collections.abc import Iterator
from html import unescape

import pytest

from commun.authority import Who
from commun.store.schema import metadata
from commun.store.visible import Reveals, sentences, visible
from fake_engine import FakeEngine
from inhabitants import inhabitant
from site_server import Site, serving

NUMBERS = itertools.count()
COLUMNS = {(table.name, column.name): column.comment for table in metadata.sorted_tables for column in table.columns}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("seen") / "home", FakeEngine()) as running:
        yield running


def shown(site: Site, who: Who, language: str = "en") -> str:
    with inhabitant(site, who, name=f"canary-{next(NUMBERS)}").browser(headers={"accept-language": language}) as client:
        response = client.get("/what-we-can-see")
    assert response.status_code == 200
    return unescape(response.text)


def test_every_table_stands_in_one_group() -> None:
    told = [table.name for group in visible() for table in group.tables]
    assert sorted(told) == sorted(metadata.tables)


def test_every_column_stands_on_the_page_with_what_it_reveals(site: Site) -> None:
    page = shown(site, Who.MEMBER)
    for table in re.split(r'<div class="seen-table">', page)[1:]:
        name = re.search(r"<small><code>(\w+)</code>", table)
        assert name
        told = dict(re.findall(r"<code>(\w+)</code></dt><dd>([^<]*)</dd>", table))
        assert told == {column: comment for (of, column), comment in COLUMNS.items() if of == name[1]}
    assert page.count('<div class="seen-table">') == len(metadata.tables)


def test_what_is_sealed_is_what_the_comments_call_sealed(site: Site) -> None:
    marked = {
        (table.name, column.name)
        for group in visible()
        for table in group.tables
        for column in table.revealing(Reveals.SEALED)
    }
    assert marked == {place for place, comment in COLUMNS.items() if comment.startswith("Sealed")}
    assert shown(site, Who.MEMBER).count('<div class="sealed">') == len(marked)


def test_a_member_an_administrator_and_who_is_locked_out_read_the_same(site: Site) -> None:
    pages = {shown(site, who) for who in (Who.LOCKED, Who.MEMBER, Who.ADMINISTRATOR)}
    assert len(pages) == 1
    assert "canary" not in pages.pop()


def test_it_can_be_passed_on_in_the_other_language(site: Site) -> None:
    with inhabitant(site).browser() as client:
        page = client.get("/what-we-can-see?lang=fr").text
    assert '<html lang="fr"' in page
    assert 'href="/what-we-can-see?lang=en"' in page


def test_the_catalogues_are_asked_for_every_sentence() -> None:
    assert sentences() == {*COLUMNS.values(), *(table.comment for table in metadata.sorted_tables)}

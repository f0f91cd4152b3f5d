"""The list of conversations, grouped by the reader's days, and what search found."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from markupsafe import Markup, escape

from commun.store.conversations import Hit, Summary
from commun.web.i18n import MONTHS
from commun.web.render import plain_text
from commun.web.visit import Visit

WEEK_DAYS: Final = 7
EXCERPTS: Final = 2  # of one conversation
EXCERPT_LENGTH: Final = 160


@dataclass(frozen=True, slots=True)
class Item:
    id: str
    title: str
    current: bool
    running: bool


@dataclass(frozen=True, slots=True)
class Group:
    label: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class HitView:
    """A conversation in which something was found. ``url`` leads to the first message found, on its branch."""

    url: str
    title: str
    excerpts: tuple[Markup, ...]
    when: str


async def sidebar_of(visit: Visit, current: str = "") -> list[Group]:
    """The signed-in person's conversations; none while the vault is locked."""
    if visit.viewer is None or visit.viewer.key is None:
        return []
    return group_by_day(visit, await visit.services.conversations.list(visit.viewer), current)


def group_by_day(visit: Visit, summaries: Sequence[Summary], current: str) -> list[Group]:
    today = visit.local(time.time()).date()
    groups: dict[str, list[Item]] = {}
    for each in summaries:
        label = day_label(visit, visit.local(each.updated).date(), today)
        item = Item(id=each.id, title=each.title, current=each.id == current, running=each.running)
        groups.setdefault(label, []).append(item)
    return [Group(label, tuple(items)) for label, items in groups.items()]


def day_label(visit: Visit, day: date, today: date) -> str:
    """Today, Yesterday, Previous 7 days, else the month; the year where it is another one."""
    _ = visit.translate
    if day >= today:
        return _("Today")
    if day == today - timedelta(days=1):
        return _("Yesterday")
    if day >= today - timedelta(days=WEEK_DAYS):
        return _("Previous 7 days")
    month = _(MONTHS[day.month - 1])
    return month if day.year == today.year else f"{month} {day.year}"


def view_hits(visit: Visit, hits: Sequence[Hit], wanted: str) -> list[HitView]:
    """One line for each conversation, newest first, with the first words that were found in it."""
    today = visit.local(time.time()).date()
    found: dict[str, list[Hit]] = {}
    for hit in hits:
        found.setdefault(hit.conversation_id, []).append(hit)
    views = []
    for conversation_id, its_hits in found.items():
        messages = [hit for hit in its_hits if hit.message_id]
        excerpts = dict.fromkeys(marked(hit.excerpt, wanted) for hit in messages if hit.excerpt != hit.title)
        views.append(
            HitView(
                url=f"/c/{conversation_id}" + (f"?message={messages[0].message_id}" if messages else ""),
                title=its_hits[0].title,
                excerpts=tuple(excerpts)[:EXCERPTS],
                when=day_label(visit, visit.local(its_hits[0].created).date(), today),
            )
        )
    return views


def marked(excerpt: str, wanted: str) -> Markup:
    """The words of an excerpt, what was looked for in them marked."""
    words = plain_text(excerpt, EXCERPT_LENGTH)
    start = words.casefold().find(wanted.casefold())
    if start < 0 or len(words.casefold()) != len(words):
        return escape(words)
    end = start + len(wanted)
    return escape(words[:start]) + Markup("<mark>{}</mark>").format(words[start:end]) + escape(words[end:])

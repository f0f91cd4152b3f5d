"""The list of conversations, grouped by the reader's days, and what search found."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from commun.store.conversations import Hit, Summary
from commun.web.i18n import MONTHS
from commun.web.visit import Visit

WEEK_DAYS: Final = 7


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
    """``url`` leads to the message, on its branch."""

    url: str
    title: str
    excerpt: str
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


def view_hits(visit: Visit, hits: Sequence[Hit]) -> list[HitView]:
    today = visit.local(time.time()).date()
    return [
        HitView(
            url=f"/c/{hit.conversation_id}" + (f"?message={hit.message_id}" if hit.message_id else ""),
            title=hit.title,
            excerpt=hit.excerpt,
            when=day_label(visit, visit.local(hit.created).date(), today),
        )
        for hit in hits
    ]

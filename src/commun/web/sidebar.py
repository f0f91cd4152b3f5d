"""The list of conversations: folders, then the reader's days; and what search found.

It stands beside every page, so it is bounded: the newest MOST_LISTED conversations, of each folder the newest
MOST_IN_FOLDER of them. The rest is on the pages of the folders and of all conversations (``folders.py``).

Days are the reader's as far as the server can know them: the browser's time zone comes in a cookie that our own script
sets (``visit.py``); without scripts they are UTC's.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from markupsafe import Markup, escape

from commun.store.conversations import Hit, Summary
from commun.store.folders import Folder
from commun.store.people import Viewer
from commun.web.i18n import MONTHS, long_date
from commun.web.render import plain_text
from commun.web.rules import end_of
from commun.web.visit import DAY_S, Visit

WEEK_DAYS: Final = 7
MONTH_DAYS: Final = 30
EXCERPTS: Final = 2  # of one conversation
EXCERPT_LENGTH: Final = 160
MOST_LISTED: Final = 200
MOST_IN_FOLDER: Final = 10


@dataclass(frozen=True, slots=True)
class Item:
    """``url``: of a conversation that somebody else shares, to be read; "" for one's own. ``ends``: the day on which
    the charter ends it, where that is within a week; "" else.
    """

    id: str
    title: str
    current: bool
    running: bool
    folder_id: str | None = None
    url: str = ""
    ends: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Conversations under one heading. ``folder``: its id where they lie in one, "" for a day or a month; ``is_open``:
    whether its conversations are shown. ``url``: where the rest is, "" where there is none; ``count``: with the rest.
    """

    label: str
    items: tuple[Item, ...]
    folder: str = ""
    is_open: bool = True
    url: str = ""
    count: int = 0


@dataclass(frozen=True, slots=True)
class HitView:
    """A conversation in which something was found. ``url`` leads to the first message found, on its branch.
    ``folder``: what the folder is called in which it lies, or "".
    """

    url: str
    title: str
    excerpts: tuple[Markup, ...]
    when: str
    folder: str = ""


async def sidebar_of(visit: Visit, current: str = "") -> list[Group]:
    """The signed-in person's folders and newest conversations; none while the vault is locked."""
    if visit.viewer is None or visit.viewer.key is None:
        return []
    folders = await visit.services.folders.list(visit.viewer)
    newest = await visit.services.conversations.list(visit.viewer, limit=MOST_LISTED + 1)
    listed = newest[:MOST_LISTED]
    known = {folder.id for folder in folders}
    groups = [_folder_group(visit, folder, listed, current) for folder in folders]
    groups += await _shared(visit, visit.viewer, current)
    groups += group_by_day(visit, [each for each in listed if each.folder_id not in known], current)
    if len(newest) > MOST_LISTED:
        groups.append(Group(visit.translate("Older"), (), url="/conversations"))
    return groups


async def _shared(visit: Visit, viewer: Viewer, current: str) -> list[Group]:
    """What others let this person read, where there is anything."""
    readable = await visit.services.reading.list(viewer, limit=MOST_LISTED)
    items = tuple(
        Item(id=each.id, title=each.title, current=each.id == current, running=each.running, url=f"/reading/{each.id}")
        for each in readable
    )
    return [Group(visit.translate("Shared with me"), items)] if items else []


def _folder_group(visit: Visit, folder: Folder, listed: Sequence[Summary], current: str) -> Group:
    """Shown open where the reader left it so; else where the current conversation lies in it."""
    inside = [each for each in listed if each.folder_id == folder.id]
    shown = visit.shows_folder(folder.id)
    return Group(
        label=folder.name,
        items=tuple(_item(visit, each, current) for each in inside[:MOST_IN_FOLDER]),
        folder=folder.id,
        is_open=any(each.id == current for each in inside) if shown is None else shown,
        url=f"/folders/{folder.id}",
        count=folder.conversations,
    )


def group_by_day(visit: Visit, summaries: Sequence[Summary], current: str) -> list[Group]:
    today = visit.local(time.time()).date()
    groups: dict[str, list[Item]] = {}
    for each in summaries:
        label = day_label(visit, visit.local(each.updated).date(), today)
        groups.setdefault(label, []).append(_item(visit, each, current))
    return [Group(label, tuple(items)) for label, items in groups.items()]


def _item(visit: Visit, summary: Summary, current: str) -> Item:
    return Item(
        id=summary.id,
        title=summary.title,
        current=summary.id == current,
        running=summary.running,
        folder_id=summary.folder_id,
        ends=_end_near(visit, summary),
    )


def _end_near(visit: Visit, summary: Summary) -> str:
    end = end_of(visit, summary)
    if end is None or end - time.time() > WEEK_DAYS * DAY_S:
        return ""
    return long_date(visit.local(end).date(), visit.language)


def day_label(visit: Visit, day: date, today: date) -> str:
    """Today, Yesterday, Previous 7 days, Previous 30 days, else the month; the year where it is another one."""
    _ = visit.translate
    if day >= today:
        return _("Today")
    if day == today - timedelta(days=1):
        return _("Yesterday")
    if day >= today - timedelta(days=WEEK_DAYS):
        return _("Previous 7 days")
    if day >= today - timedelta(days=MONTH_DAYS):
        return _("Previous 30 days")
    month = _(MONTHS[day.month - 1])
    return month if day.year == today.year else f"{month} {day.year}"


async def view_hits(visit: Visit, hits: Sequence[Hit], wanted: str) -> list[HitView]:
    """One line for each conversation, newest first, with the first words that were found in it."""
    named = {folder.id: folder.name for folder in await visit.services.folders.list(visit.owner)} if hits else {}
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
                folder=named.get(its_hits[0].folder_id or "", ""),
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

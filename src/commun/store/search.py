"""Search in one's own conversations: what is sealed is opened during the request and looked through.

There is no index: an index would be the content in clear. Case and accents make no difference.
"""

import time
import unicodedata
from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, select

from commun.store.people import Viewer
from commun.store.rows import open_conversation_key, open_message, open_title, owned
from commun.store.schema import conversations, messages
from commun.store.tree import Hit
from commun.store.vault import ConversationKey

MAX_HITS: Final = 50
MAX_QUERY: Final = 200  # characters; what is longer is cut
_BEFORE, _AFTER = 40, 120  # characters of the excerpt around the first match
_BREATHE_EVERY: Final = 16  # messages after which other threads get a turn: the event loop must not wait for a search

Known = tuple[ConversationKey, str, str | None]  # a conversation's key, its title, its folder


def fold(text: str) -> str:
    """Lower case without accents: “Élève” and “eleve” are the same."""
    if text.isascii():
        return text.lower()
    return "".join(one for one in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(one))


def excerpt(text: str, needle: str) -> str | None:
    """The text around the first match of the folded ``needle``, on one line; None if there is none."""
    folded = fold(text)
    at = folded.find(needle)
    if at < 0:
        return None
    if len(folded) != len(text):  # folding changed lengths: find where the match begins in the original
        at = _place_of(text, at)
    start, end = max(0, at - _BEFORE), min(len(text), at + len(needle) + _AFTER)
    line = " ".join(text[start:end].split())
    return f"{'…' if start else ''}{line}{'…' if end < len(text) else ''}"


def _place_of(text: str, folded_at: int) -> int:
    length = 0
    for place, one in enumerate(text):
        length += len(fold(one))
        if length > folded_at:
            return place
    return len(text)


def find(connection: Connection, viewer: Viewer, text: str) -> list[Hit]:
    """At most ``MAX_HITS`` titles, then messages, each newest first. Raises VaultLocked."""
    needle = fold(text[:MAX_QUERY]).strip()
    if not needle:
        return []
    known: dict[str, Known] = {}
    hits: list[Hit] = []
    query = select(conversations).where(owned(viewer)).order_by(conversations.c.updated.desc())
    for row in connection.execute(query):
        key = open_conversation_key(viewer, row)
        title = open_title(key, row)
        known[row.id] = (key, title, row.folder_id)
        found = excerpt(title, needle)
        if found is not None:
            hits.append(Hit(row.id, None, title, "", found, row.updated, row.folder_id))
    if len(hits) < MAX_HITS:
        hits.extend(_in_messages(connection, viewer, needle, known, MAX_HITS - len(hits)))
    return hits[:MAX_HITS]


def _in_messages(
    connection: Connection,
    viewer: Viewer,
    needle: str,
    known: dict[str, Known],
    limit: int,
) -> Iterator[Hit]:
    query = (
        select(messages)
        .join(conversations, conversations.c.id == messages.c.conversation_id)
        .where(owned(viewer))
        .order_by(messages.c.created.desc())
    )
    for number, row in enumerate(connection.execute(query)):
        if number % _BREATHE_EVERY == 0:
            time.sleep(0)
        key, title, folder_id = known[row.conversation_id]
        message = open_message(key, row)
        found = excerpt(message.content["text"], needle)
        if found is not None:
            yield Hit(row.conversation_id, row.id, title, row.role, found, row.created, folder_id)
            limit -= 1
            if limit == 0:
                return

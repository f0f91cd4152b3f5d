"""The editions as an Atom 1.0 feed (RFC 4287), newest first, one for each language.

- an entry's id is the edition's digest as an ``ni`` URI (RFC 6920): the same wherever the charter is published;
- an edition's time is that of its last dated signature, or of its freeze where that came later;
- everything that people wrote goes through ``words.shown``, which also leaves no character that XML forbids.
"""

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from xml.etree import ElementTree as ET

from commun.charter.changes import changes
from commun.charter.edition import Edition
from commun.charter.words import shown
from commun.web.adopted import History

ATOM: Final = "http://www.w3.org/2005/Atom"
MEDIA_TYPE: Final = "application/atom+xml; charset=utf-8"
MOST_ENTRIES: Final = 50


def atom_feed(history: History, base: str, language: str, translate: Callable[[str], str]) -> bytes:
    """``base``: the address of this Commun, without a slash at its end."""
    newest = history.editions[-1]
    here = f"{base}/charter/feed.atom?lang={language}"
    feed = ET.Element("feed", {"xmlns": ATOM, "xml:lang": language})
    title = translate("%(name)s: editions of the charter") % {"name": shown(newest.charter.name)}
    _text(feed, "title", title)
    _text(feed, "subtitle", shown(newest.charter.purpose.in_language(language).strip()))
    _text(feed, "id", here)
    ET.SubElement(feed, "link", {"rel": "self", "type": "application/atom+xml", "href": here})
    ET.SubElement(feed, "link", {"rel": "alternate", "type": "text/html", "href": f"{base}/charter"})
    _text(ET.SubElement(feed, "author"), "name", shown(newest.charter.name))
    shown_editions = history.editions[: -MOST_ENTRIES - 1 : -1]
    _text(feed, "updated", _time(max(moment_of(history, edition) for edition in shown_editions)))
    for edition in shown_editions:
        _entry(feed, history, edition, base, translate)
    data: bytes = ET.tostring(feed, encoding="utf-8", xml_declaration=True)
    return data


def signed_at(edition: Edition) -> datetime:
    """When the last member signed, by their own clocks; when it was proposed where no time is signed."""
    return max((signature.at for signature in edition.signatures if signature.at), default=edition.proposed)


def moment_of(history: History, edition: Edition) -> datetime:
    freeze = history.find_freeze(edition.number)
    return max(signed_at(edition), freeze.at) if freeze is not None else signed_at(edition)


def _entry(feed: ET.Element, history: History, edition: Edition, base: str, translate: Callable[[str], str]) -> None:
    entry = ET.SubElement(feed, "entry")
    freeze = history.find_freeze(edition.number)
    name = translate("Edition %(number)s") % {"number": edition.number}
    frozen = freeze is not None and not freeze.released and edition is history.editions[-1]
    _text(entry, "title", name + (" " + translate("(frozen)") if frozen else ""))
    _text(entry, "id", digest_uri(edition.digest))
    ET.SubElement(
        entry, "link", {"rel": "alternate", "type": "text/html", "href": f"{base}/charter/editions/{edition.number}"}
    )
    _text(entry, "published", _time(signed_at(edition)))
    _text(entry, "updated", _time(moment_of(history, edition)))
    for signature in edition.signatures:
        _text(ET.SubElement(entry, "author"), "name", shown(signature.member))
    _text(entry, "summary", shown(edition.reason))
    _text(entry, "content", "\n".join(_sentences(history, edition, translate)))


def _sentences(history: History, edition: Edition, translate: Callable[[str], str]) -> list[str]:
    before = history.find_before(edition)
    found = changes(before.charter if before else None, edition.charter)
    lines = [shown(edition.reason), "", *(f"• {shown(change.text(translate))}" for change in found)]
    freeze = history.find_freeze(edition.number)
    if freeze is not None:
        words = translate("Frozen by %(member)s: %(reason)s") % {"member": freeze.member, "reason": freeze.reason}
        lines += ["", shown(words)]
    return lines


def digest_uri(digest: str) -> str:
    return "ni:///sha-256;" + base64.urlsafe_b64encode(bytes.fromhex(digest)).decode().rstrip("=")


def _text(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = text


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"

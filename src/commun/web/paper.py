"""What others wrote in a charter, as a page shows it, and figures in the reader's language: Jinja filters.

What cannot be seen, or can be taken for something else, is named in ⟦ ⟧ (``charter/words.py``) and marked; nothing is
ever read as Markdown or HTML.
"""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from markupsafe import Markup, escape

from commun.charter import words
from commun.charter.clauses import plain
from commun.charter.comparison import Manner, Work, compare
from commun.charter.errors import BadKey
from commun.charter.keys import key_from_text
from commun.web.i18n import NARROW_SPACE, long_date, translator

_NAMED: Final = re.compile("(⟦[^⟧]*⟧)")
_DIGEST: Final = re.compile("((?:ed25519:)?[0-9a-f]{64})")
_GROUP: Final = 4
SHORT: Final = 16  # hexadecimal digits of a digest that are shown at once
LONG_SAME: Final = 700  # characters of unchanged text that are shown whole
AROUND: Final = 240  # of a longer one, at each end


def shown(text: object) -> Markup:
    """Escaped, with every odd character named and marked."""
    parts = _NAMED.split(words.shown(str(text)))
    odd = Markup('<mark class="odd">{}</mark>')
    return Markup("").join(odd.format(part) if index % 2 else escape(part) for index, part in enumerate(parts))


def sentence(text: object) -> Markup:
    """As ``shown``, keys and digests set as such."""
    parts = _DIGEST.split(str(text))
    code = Markup('<code class="full">{}</code>')
    return Markup("").join(code.format(part) if index % 2 else shown(part) for index, part in enumerate(parts))


def paragraphs(text: object) -> Markup:
    """As ``shown``, an empty line being the end of a paragraph."""
    found = [part.strip() for part in re.split(r"\n[ \t]*\n", str(text)) if part.strip()]
    return Markup("").join(Markup("<p>{}</p>").format(shown(part)) for part in found)


def grouped(digest: str) -> str:
    """The first digits, in groups that can be read aloud."""
    short = digest[:SHORT]
    return " ".join(short[at : at + _GROUP] for at in range(0, len(short), _GROUP))


def key_id(text: str) -> str:
    """A member's key by its id, which is what signatures name; "" for what is no key."""
    try:
        return str(key_from_text(text).keyid)
    except BadKey:
        return ""


def decimal(value: Decimal | int, language: str) -> str:
    text = str(plain(value)) if isinstance(value, Decimal) else str(value)
    whole, point, rest = text.partition(".")
    grouped_whole = f"{int(whole):,}"
    if language == "fr":
        return grouped_whole.replace(",", NARROW_SPACE) + point.replace(".", ",") + rest
    return grouped_whole + point + rest


def day(moment: date, language: str) -> str:
    return long_date(moment.astimezone(UTC).date() if isinstance(moment, datetime) else moment, language)


def minute(moment: datetime, language: str) -> Markup:
    """A document has one time for all its readers: UTC."""
    moment = moment.astimezone(UTC)
    html = Markup('<time datetime="{}">{}</time>')
    _ = translator(language)
    said = _("%(day)s at %(time)s UTC") % {"day": day(moment, language), "time": f"{moment:%H:%M}"}
    return html.format(f"{moment:%Y-%m-%dT%H:%M:%SZ}", said)


def diff(before: str, after: str, language: str, work: Work) -> Markup:
    """What went and what came, word by word; line ends and lone spaces among them are made visible. Where ``work`` does
    not suffice it is line by line, or not at all, and that is said.
    """
    found = compare(before, after, work)
    _ = translator(language)
    said = {"added": ("ins", _("added:")), "removed": ("del", _("removed:"))}
    out = Markup("")
    if found.manner is Manner.LINES:
        out += _note(_("Too long to be compared word by word: this is compared line by line."))
    elif found.manner is Manner.NOT:
        out += _note(_("Too long to be compared here: read the files themselves."))
    for piece in found.pieces:
        if piece.kind == "same":
            out += _same(piece.text, language)
            continue
        element, name = said[piece.kind]
        html = Markup('<{e}><span class="visually-hidden">{name} </span>{text}</{e}>')
        out += html.format(e=element, name=name, text=_visible(piece.text))
    return out


def whole(text: str, language: str, work: Work) -> Markup:
    """As ``shown``; where ``work`` does not suffice, a sentence that says so."""
    return shown(text) if work.can_show(text) else too_long(language)


def too_long(language: str) -> Markup:
    _ = translator(language)
    return _note(_("Too long to be shown here: read the files themselves."))


def _note(said: str) -> Markup:
    return Markup('<p class="caution"><span>{}</span></p>').format(said)


def _visible(text: str) -> Markup:
    blank = not text.strip(" \n")
    signs = shown(text).replace("\n", Markup('<span class="sign">↵</span>\n'))
    return signs.replace(" ", Markup('<span class="sign">␣</span>')) if blank and "\n" not in text else signs


def _same(text: str, language: str) -> Markup:
    if len(text) <= LONG_SAME:
        return shown(text)
    middle = text[AROUND:-AROUND]
    _ = translator(language)
    said = _("%(count)s characters that stay as they were") % {"count": decimal(len(middle), language)}
    html = Markup('{}<details class="same"><summary>{}</summary>{}</details>{}')
    return html.format(shown(text[:AROUND]), said, shown(middle), shown(text[-AROUND:]))


def filters(language: str) -> dict[str, Any]:
    """For ``Environment.filters``."""
    return {
        "shown": shown,
        "plainly": lambda text: words.shown(str(text)),
        "sentence": sentence,
        "paragraphs": paragraphs,
        "grouped": grouped,
        "key_id": key_id,
        "decimal": lambda value: decimal(value, language),
        "day": lambda moment: day(moment, language),
        "minute": lambda moment: minute(moment, language),
    }

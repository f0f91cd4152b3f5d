"""What stands in the ledger's entries, in words, in the reader's language."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from commun.charter.words import shown
from commun.ledger.entries import (
    TIME_FORMAT,
    AuditStatement,
    BadStatement,
    EditionStatement,
    EpochSecretStatement,
    EpochStatement,
    ModelStatement,
    ReceiptKeyStatement,
    ReceiptStatement,
    RetentionStatement,
    SoftwareStatement,
    Statement,
    read_statement,
)
from commun.web.i18n import translator
from commun.web.paper import decimal

RECEIPT, EDITION, MODEL, SOFTWARE, SECRET, KEY, ERASED, AUDITED, OTHER = (
    "receipt", "edition", "model", "software", "secret", "key", "erased", "audited", "other",
)  # fmt: skip
SHORTEST_RUN: Final = 3  # receipts in a row that are shown as one line
MAX_BYTES_SHOWN: Final = 2000
DIGITS: Final = 16  # of a digest or a key
Translate = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class EntryWords:
    """``at``: the time in the entry (UTC), None where it has none. ``link``: what more there is to read, or ""."""

    number: int
    kind: str
    said: str
    at: datetime | None
    link: str = ""


def entry_words(number: int, data: bytes, language: str) -> EntryWords:
    try:
        statement = read_statement(data)
    except BadStatement:
        _ = translator(language)
        said = _("An entry of a type that this version does not know")
        return EntryWords(number, OTHER, said, None)
    kind, said, link = _say(statement, language)
    return EntryWords(number, kind, said, _time(statement), link)


def in_runs(entries: Iterable[EntryWords]) -> Iterator[Sequence[EntryWords]]:
    """One by one, but receipts that stand in a row together."""
    run: list[EntryWords] = []
    for each in entries:
        if run and (each.kind != RECEIPT or run[-1].kind != RECEIPT):
            yield from _settled(run)
            run = []
        run.append(each)
    yield from _settled(run)


def _settled(run: list[EntryWords]) -> Iterator[Sequence[EntryWords]]:
    if len(run) >= SHORTEST_RUN:
        yield run
    else:
        yield from ([each] for each in run)


def entry_text(data: bytes) -> str:
    """The bytes as text where they are some; others may have written them: every odd character is named."""
    rest = "…" if len(data) > MAX_BYTES_SHOWN else ""
    try:
        return shown(data[:MAX_BYTES_SHOWN].decode()) + rest
    except UnicodeDecodeError:
        return data[:MAX_BYTES_SHOWN].hex(" ", 2) + rest


def _say(statement: Statement, language: str) -> tuple[str, str, str]:
    """Kind, sentence and link."""
    _ = translator(language)
    kind, said, link = OTHER, _("An entry: %(type)s") % {"type": statement.type}, ""
    match statement:
        case ReceiptStatement():
            kind, said = RECEIPT, _("A receipt")
        case EditionStatement():
            kind, said, link = EDITION, _edition(statement, _), f"/charter/editions/{statement.number}"
        case ModelStatement():
            kind, link = MODEL, "/charter#models"
            said = _("A model was loaded: %(digest)s, by %(engine)s %(version)s") % {
                "digest": f"{statement.model[:DIGITS]}…", "engine": statement.engine, "version": statement.version,
            }  # fmt: skip
        case SoftwareStatement():
            kind, said = SOFTWARE, _software(statement, _)
        case EpochStatement():
            kind, said = SECRET, _("A secret for seeds was committed to")
        case EpochSecretStatement():
            kind, said = SECRET, _("A secret for seeds was published: every seed of it can be derived again")
        case ReceiptKeyStatement():
            kind, said = KEY, _key(statement, _)
        case RetentionStatement():
            kind, said, link = ERASED, _erased(statement, language), "/charter#kept"
        case AuditStatement():
            kind, said, link = AUDITED, _audited(statement, language), "/audits"
    return kind, said, link


def _audited(statement: AuditStatement, language: str) -> str:
    _ = translator(language)
    if statement.inconsistent:
        said = _("Answers were audited: %(audited)s, of which %(inconsistent)s were inconsistent")
    elif statement.audited:
        said = _("Answers were audited: %(audited)s, none of them inconsistent")
    else:
        said = _("Answers that were drawn for an audit could not be audited: %(count)s")
    counts = {"audited": statement.audited, "inconsistent": statement.inconsistent, "count": statement.not_audited}
    return said % {name: decimal(count, language) for name, count in counts.items()}


def _edition(statement: EditionStatement, _: Translate) -> str:
    sentence = {
        "adopted": _("Edition %(number)s was adopted"),
        "frozen": _("Edition %(number)s was frozen"),
        "released": _("Edition %(number)s was released"),
    }[statement.event]
    return sentence % {"number": statement.number}


def _software(statement: SoftwareStatement, _: Translate) -> str:
    versions = dict(statement.versions)
    own = versions.pop("commun", "")
    said = _("Commun %(version)s started") % {"version": own} if own else _("A server started")
    rest = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return f"{said} ({rest})" if rest else said


def _key(statement: ReceiptKeyStatement, _: Translate) -> str:
    if statement.event == "added":
        said = _("A key that signs receipts was added: %(key)s")
    else:
        said = _("A key that signed receipts was retired: %(key)s")
    scheme, _colon, digits = statement.key.partition(":")
    return said % {"key": f"{scheme}:{digits[:DIGITS]}…"}


def _erased(statement: RetentionStatement, language: str) -> str:
    _ = translator(language)
    if statement.conversations == 1:
        said = _("One conversation was erased, being older than %(days)s days")
    else:
        said = _("%(count)s conversations were erased, being older than %(days)s days")
    return said % {"count": decimal(statement.conversations, language), "days": statement.days}


def _time(statement: Statement) -> datetime | None:
    text = getattr(statement, "time", None)
    return datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC) if text else None

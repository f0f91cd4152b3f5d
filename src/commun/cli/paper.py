"""Charters, changes and signatures on the terminal. Everything that others wrote is shown through ``words.shown`` and
never read as markup.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from commun.charter.changes import TITLES, Change
from commun.charter.clauses import Bounds, Charter, Model, Texts
from commun.charter.edition import Edition, InForce, Signature
from commun.charter.status import SigningStatus
from commun.charter.words import shown, warnings, word_diff
from commun.cli.words import _
from commun.environment import cli_language

STYLES = {"same": "", "added": "green underline", "removed": "red strike"}
MARKS = {"same": ("", ""), "added": ("[+", "+]"), "removed": ("[-", "-]")}
AROUND = 60  # characters of unchanged text that are shown on each side of a change


def console() -> Console:
    return Console(highlight=False, soft_wrap=True)


def day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def heading(text: str) -> Text:
    return Text(text, style="bold")


def own(texts: Texts) -> str:
    return shown(texts.in_language(cli_language()).strip())


def print_changes(out: Console, found: Sequence[Change]) -> None:
    """Each change as a sentence, texts word by word."""
    title = ""
    for change in found:
        clause = change.clause.partition(".")[0]
        if clause != title:
            title = clause
            out.print()
            out.print(heading(_(TITLES[clause])))
        sentence = Text("  • ")
        sentence.append(shown(change.text(_)))
        if change.entrenched:
            sentence.append("  " + _("(entrenched: every guard must sign)"), style="yellow")
        out.print(sentence)
        if change.before or change.after:
            out.print(texts_compared(out, change.before, change.after))


def texts_compared(out: Console, before: str, after: str) -> Text:
    """What stays far from a change is cut to its ends; a terminal without colours gets marks."""
    coloured = out.color_system is not None
    text = Text("    ")
    for piece in word_diff(before, after):
        words = _shortened(piece.text) if piece.kind == "same" else piece.text
        opening, closing = ("", "") if coloured else MARKS[piece.kind]
        text.append(opening + shown(words) + closing, style=STYLES[piece.kind] if coloured else "")
    for warning in warnings(after):
        text.append("\n    ! " + _(warning.explanation) % {"name": warning.name}, style="yellow")
    return text


def _shortened(words: str) -> str:
    return words if len(words) <= 2 * AROUND else f"{words[:AROUND]} … {words[-AROUND:]}"


def print_charter(out: Console, in_force: InForce) -> None:
    """What is in force, in words."""
    edition, charter = in_force.edition, in_force.charter
    out.print(heading(f"{shown(charter.name)} · {_('edition %(number)s') % {'number': edition.number}}"))
    out.print(Text(edition.digest, style="dim"))
    print_state(out, in_force)
    out.print(Text("\n" + own(charter.purpose)))
    out.print()
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for title, value in _rows(charter):
        table.add_row(Text(title), Text(value))
    out.print(table)
    for title, text in _prompts(charter):
        out.print()
        out.print(heading(title))
        out.print(Text(shown(text.strip())))


def print_state(out: Console, in_force: InForce) -> None:
    if in_force.freeze is not None:
        frozen = in_force.freeze
        words = _("Edition %(newest)s is frozen by %(member)s since %(day)s: %(reason)s") % {
            "newest": frozen.edition,
            "member": frozen.member,
            "day": day(frozen.at),
            "reason": frozen.reason,
        }
        out.print(Text(shown(words), style="yellow"))
    if in_force.stale_since is not None:
        out.print(Text(_("Stale since %(day)s: the mandate has ended.") % {"day": day(in_force.stale_since)}, "yellow"))
    if len(in_force.charter.board.members) == 1:
        out.print(Text(_("A board of one: whoever holds this key can change this assistant."), style="yellow"))


def _rows(charter: Charter) -> Iterable[tuple[str, str]]:
    guards = set(charter.entrenched.guards)
    members = ", ".join(
        shown(member.name) + (f" ({_('guard')})" if member.name in guards else "") for member in charter.board.members
    )
    yield _("Board"), members
    yield (
        _("Quorum"),
        _("%(quorum)s of %(members)s") % {"quorum": charter.board.quorum, "members": len(charter.board.members)},
    )
    yield _("Mandate until"), charter.mandate.until.isoformat()
    yield _("Entrenched clauses"), ", ".join(charter.entrenched.clauses) or "–"
    for model in charter.models.adopted:
        yield _("Model"), _model(model, answers=model.id == charter.models.default)
    sampling = charter.sampling
    yield _("Profile"), sampling.profile.value
    for name in ("temperature", "top_p", "max_tokens"):
        yield name, _bounds(getattr(sampling, name))
    yield _("Personas"), ", ".join(shown(own(persona.name)) for persona in charter.personas) or "–"
    yield _("Kept for"), _("%(days)s days") % {"days": charter.retention.days} if charter.retention.days else "∞"
    hold = charter.retention.hold_until
    yield _("Legal hold"), _("until %(day)s: nothing stored is erased") % {"day": hold} if hold is not None else "–"
    yield _("Sources"), ", ".join(charter.sources.allowed) or "–"
    yield _("Tools"), ", ".join(shown(tool) for tool in charter.tools.allowed) or "–"
    yield _("What people are told"), own(charter.disclosure)


def _model(model: Model, *, answers: bool) -> str:
    mark = " ✓" if answers else ""
    where = model.url or model.digest[:16]
    return f"{shown(model.name)} ({model.id}, {shown(model.licence)}, {shown(where)}){mark}"


def _bounds(bounds: Bounds) -> str:
    return f"{bounds.default} ({bounds.least} … {bounds.most})"


def _prompts(charter: Charter) -> Iterable[tuple[str, str]]:
    for language in ("en", "fr"):
        yield f"{_('System prompt')} ({language})", charter.prompts.system.in_language(language)
        for persona in charter.personas:
            yield f"{shown(persona.id)} ({language})", persona.prompt.in_language(language)


def signed_by(signature: Signature) -> str:
    name = shown(signature.member)
    return name if signature.at is None else f"{name}, {day(signature.at)}"


def print_signing(out: Console, status: SigningStatus) -> None:
    """How far a document is."""
    count = _("Signed by %(signed)s of the %(needed)s who are needed.") % {
        "signed": len(status.signed),
        "needed": status.needed,
    }
    out.print(heading(count))
    for signature in status.signed:
        out.print(Text("  ✓ " + signed_by(signature)))
    if status.entrenched:
        out.print(Text("  " + _("It changes something entrenched: every guard must sign."), style="yellow"))
    for name in status.guards_missing:
        out.print(Text("  … " + _("guard %(name)s must sign") % {"name": shown(name)}))
    if not status.complete:
        out.print(Text("  " + _("Can still sign: %(names)s") % {"names": shown(", ".join(status.missing))}))


def print_edition(out: Console, edition: Edition) -> None:
    """One line of the history, and why."""
    words = _("Edition %(number)s, proposed %(day)s") % {"number": edition.number, "day": day(edition.proposed)}
    out.print(heading(words))
    out.print(Text(edition.digest, style="dim"))
    out.print(Text("  " + shown(edition.reason).replace("\n", "\n  ")))
    for signature in edition.signatures:
        out.print(Text("  ✓ " + signed_by(signature)))

"""What a receipt says, for people: the view model of the seal's panel and of ``/receipt/{id}``.

Made from the signed statement itself, never from what is stored beside it: what stands here is what the file proves.
Rules:

- plain words first, then every field of the statement that a person can use; digests are there to be compared;
- what is not known yet (the ledger's place, the witnesses) is said as it is: waiting, and for what;
- a sentence claims what a verified file proves, and no more: "What this proves" is shorter where less can be shown;
- nothing that anybody wrote stands in it: texts are in the file that the owner downloads.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from commun.errors import N_
from commun.ledger.keys import to_base64
from commun.ledger.policy import Standing
from commun.receipts.commitments import FIELDS, value_to_json
from commun.receipts.issue import Receipt
from commun.receipts.statement import BY_CALLER, BY_SERVER, Scheme, Seed, State, Statement
from commun.receipts.verification import NOT_PROVEN
from commun.recording.recorder import Recorder
from commun.store.receipts import StoredReceipt
from commun.web.i18n import number, translator
from commun.web.paper import decimal, minute

LATE_S: Final = 60.0  # the ledger takes a receipt within a second; after this long, something is the matter
INSTRUCTIONS_URL: Final = "/settings#instructions-title"
SHORT_ID: Final = 8  # hexadecimal digits of a receipt's id that name a file
PROFILES: Final = {
    "exact": N_("exact profile"),
    "fast": N_("fast profile"),
    "remote": N_("on another server"),
}
ENDS: Final = {
    State.COMPLETE: N_("It is complete"),
    State.STOPPED: N_("Its reader stopped it"),
    State.FAILED: N_("It failed"),
    State.INTERRUPTED: N_("Cut off: the server was closed"),
}
SEEDS: Final = {
    Scheme.CALLER: N_("chosen by whoever asked"),
    Scheme.DRAWN: N_("drawn by the server; nothing binds it to anything"),
    Scheme.REMOTE: N_("asked of the other server, which sampled"),
    Scheme.DERIVED: N_("derived from a secret whose digest stood in the ledger before, and from the nonce"),
    Scheme.DERIVED_BEFORE: N_("derived from a secret whose digest stood in the ledger before"),
}
DRAWERS: Final = {
    BY_CALLER: N_("drawn by whoever asked: nobody else could choose the seed"),
    BY_SERVER: N_("drawn by the server, because none came with the question: it could have tried several"),
}
# Of docs/spec/receipt.md, beside those that a verifier tells.


@dataclass(frozen=True, slots=True)
class Row:
    """``code``: a digest, a key or an id, set as such. ``note``: in smaller letters."""

    name: str
    value: str
    note: str = ""
    url: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the ledger knows of a receipt. ``position`` None: it has not taken it in. ``size``: of the head against
    which the receipt is proven, 0 where there is none. ``standing``: how far that head's witnesses have come; None
    where the charter asks for none. ``waited_s``: since the receipt was written. ``elsewhere``: the name of the ledger
    that the receipt names, where it is none of this one's (it was begun anew): nothing here proves it then.
    """

    position: int | None
    size: int = 0
    standing: Standing | None = None
    waited_s: float = 0.0
    elsewhere: str = ""

    @classmethod
    def of(cls, recorder: Recorder, statement: Statement, position: int | None, *, waited_s: float = 0.0) -> "Recorded":
        """As far as the ledger here has come."""
        if statement.ledger != recorder.origin:
            return cls(None, elsewhere=statement.ledger)
        witnessed, standing = recorder.witnessed, recorder.standing()
        return cls(
            position=position,
            size=witnessed.size if witnessed is not None else 0,
            standing=standing if standing is not None and standing.needed else None,
            waited_s=waited_s,
        )

    @property
    def is_proven(self) -> bool:
        """Whether a file that is downloaded now has the receipt's proof."""
        return self.position is not None and self.position < self.size

    @property
    def is_waiting(self) -> bool:
        """Whether looking again soon may show more."""
        return not self.is_proven and not self.elsewhere and self.waited_s < LATE_S


@dataclass(frozen=True, slots=True)
class ReceiptView:
    """``whole``: texts and salts are kept here for its reader. ``nobodys``: kept for nobody, by anybody. ``nonce``:
    what the page compares with the one that it drew; "": there is none; None: another server sampled, and takes none.
    """

    id: str
    file_name: str
    summary: str
    ledger: str
    ledger_url: str
    witnesses: str
    waiting: bool
    rows: tuple[Row, ...]
    proves: tuple[str, ...]
    not_proven: tuple[str, ...]
    whole: bool
    nobodys: bool
    answer_url: str
    nonce: str | None


def receipt_view(
    stored: StoredReceipt, statement: Statement, recorded: Recorded, language: str, *, model: str, added: str = ""
) -> ReceiptView:
    """``model``: its name for people. ``added``: the reader's own instructions that the model was told."""
    _ = translator(language)
    whole = stored.salts is not None
    url = f"/c/{stored.conversation_id}?message={stored.message_id}#m-{stored.message_id}"
    return ReceiptView(
        id=stored.id,
        file_name=file_name(stored.id),
        summary=summary_of(statement, language, model=model),
        ledger=ledger_sentence(recorded, language),
        ledger_url="" if recorded.position is None else f"/ledger/entry/{recorded.position}",
        witnesses=witness_sentence(recorded, language),
        waiting=recorded.is_waiting,
        rows=tuple(_rows(stored, statement, language, model=model, added=added)),
        proves=tuple(_proves(recorded, language, whole=whole)),
        not_proven=tuple(_(sentence) for sentence in NOT_PROVEN),
        whole=whole,
        nobodys=stored.conversation_id is None,
        answer_url=url if stored.message_id and stored.conversation_id else "",
        nonce=nonce_of(statement.seed),
    )


def file_name(receipt_id: str) -> str:
    return f"answer-{receipt_id[:SHORT_ID]}.bundle.json"


def summary_of(statement: Statement, language: str, *, model: str) -> str:
    """One sentence: which rules, which model, how exactly."""
    _ = translator(language)
    return _("Edition %(number)s of the charter, %(model)s, %(profile)s.") % {
        "number": statement.charter.edition,
        "model": model,
        "profile": _(PROFILES[statement.engine.profile]),
    }


def ledger_sentence(recorded: Recorded, language: str) -> str:
    _ = translator(language)
    if recorded.elsewhere:
        return _("Recorded in an earlier ledger, %(name)s, which is not the one here any more.") % {
            "name": recorded.elsewhere
        }
    if recorded.position is not None:
        return _("Entry %(n)s of the ledger.") % {"n": number(recorded.position, 0, language)}
    if recorded.is_waiting:
        return _("Waiting: the ledger takes it within a second.")
    return _("Waiting: the ledger cannot be written at the moment. The receipt is kept until it can.")


def witness_sentence(recorded: Recorded, language: str) -> str:
    """Who confirmed the head against which it is proven."""
    if recorded.elsewhere:
        return ""
    _ = translator(language)
    standing = recorded.standing
    if standing is None:
        return _("This charter asks for no witness: the ledger’s keeper alone stands for its head.")
    leaves = tuple(_leaves(standing))
    signed = [leaf.name for leaf in leaves if leaf.fulfilled]
    count = {"have": number(len(signed), 0, language), "all": number(len(leaves), 0, language)}
    if recorded.is_proven and standing.fulfilled:
        return _("Confirmed by %(have)s of %(all)s witnesses: %(names)s.") % {**count, "names": ", ".join(signed)}
    if not recorded.is_proven:
        return _("The witnesses have not confirmed it yet.")
    return _("Confirmed by %(have)s of %(all)s witnesses so far: fewer than the charter asks for.") % count


def _leaves(standing: Standing) -> Iterator[Standing]:
    """The witnesses themselves, in the policy's order."""
    if not standing.members:
        yield standing
    for member in standing.members:
        yield from _leaves(member)


def _rows(stored: StoredReceipt, statement: Statement, language: str, *, model: str, added: str) -> Iterator[Row]:
    _ = translator(language)
    yield _ending(statement, language)
    yield from _rules(statement, language, model=model)
    yield from _settings(statement, language)
    yield from _conversation(statement, language)
    if added:
        told = _("%(n)s characters, told to the model after the charter’s") % {"n": number(len(added), 0, language)}
        yield Row(_("Your own instructions"), told, _("what they said then is in the proof"), url=INSTRUCTIONS_URL)
    took = number((statement.ended - statement.began).total_seconds(), 0, language)
    yield Row(
        _("Time"),
        minute(statement.began, language).striptags(),
        _("by the server’s own clock; %(n)s s from the question to the end") % {"n": took},
    )
    yield Row(_("Ledger"), statement.ledger or _("no ledger"), url="/ledger" if statement.ledger else "")
    yield Row(
        _("The charter’s name"),
        "",
        _("the digest of its first root: compare it with what you know of it"),
        code=statement.charter.first_root,
    )
    yield Row(_("Signed with the key"), "", _("recorded in the ledger before its first receipt"), code=stored.key)
    yield Row(_("Receipt"), "", code=stored.id)


def _ending(statement: Statement, language: str) -> Row:
    _ = translator(language)
    note = _("cut at its greatest length") if statement.finish == "length" else ""
    if statement.state is State.FAILED:
        note = _("error: %(code)s") % {"code": statement.error}
    return Row(_("Answer"), _(ENDS[statement.state]), note)


def _rules(statement: Statement, language: str, *, model: str) -> Iterator[Row]:
    _ = translator(language)
    used, engine = statement.charter, statement.engine
    yield Row(
        _("Charter"),
        _("Edition %(number)s") % {"number": used.edition},
        _("its mandate had ended") if used.stale else "",
        url=f"/charter/editions/{used.edition}",
        code=used.digest,
    )
    if statement.persona:
        yield Row(_("Persona"), statement.persona)
    note = "" if statement.model_digest else _("on another server: nobody can check its files")
    yield Row(_("Model"), model, note, code=statement.model_digest)
    name = " ".join(part for part in (engine.name, engine.version) if part) or _("no engine had it yet")
    yield Row(_("Engine"), name, _(PROFILES[engine.profile]))
    yield from _told_by_engine(engine.notes, language)
    yield Row(_("Software"), f"Commun {statement.software}")


def _told_by_engine(notes: Mapping[str, str], language: str) -> Iterator[Row]:
    """The processor, with the class by which audits compare it, and whatever else the engine said of itself."""
    _ = translator(language)
    rest = dict(notes)
    processor, of_class = rest.pop("processor", ""), rest.pop("processor_class", "")
    if processor or of_class:
        note = _("class %(name)s: by this audits compare processors") % {"name": of_class} if of_class else ""
        yield Row(_("Processor"), processor or _("not named"), note)
    if rest:
        yield Row(_("More of the engine"), "; ".join(f"{name}: {text}" for name, text in rest.items()))


def _settings(statement: Statement, language: str) -> Iterator[Row]:
    _ = translator(language)
    sampler = statement.sampler
    settings = _("temperature %(temperature)s, top-p %(top_p)s, at most %(n)s tokens") % {
        "temperature": decimal(Decimal(sampler.temperature), language),
        "top_p": decimal(Decimal(sampler.top_p), language),
        "n": number(sampler.max_tokens, 0, language),
    }
    yield Row(_("Settings"), settings)
    seed = statement.seed
    yield Row(_("Seed"), str(seed.value), seed_sentence(seed, language))
    if seed.scheme is Scheme.DERIVED:
        yield Row(_("Nonce"), "", _(DRAWERS[seed.nonce_by]), code=seed.nonce)


def nonce_of(seed: Seed) -> str | None:
    """As the page compares it: see ``ReceiptView``."""
    return None if seed.scheme is Scheme.REMOTE else seed.nonce


def seed_sentence(seed: Seed, language: str) -> str:
    """How it came about."""
    _ = translator(language)
    said = _(SEEDS[seed.scheme])
    if seed.scheme is Scheme.DERIVED_BEFORE and seed.nonce:
        said += _(", and from what the caller sent")
    return said


def _conversation(statement: Statement, language: str) -> Iterator[Row]:
    _ = translator(language)
    context = statement.context
    if context.kind == "text":
        yield Row(_("Conversation"), _("a plain text, continued"), _("without Commun’s own instructions"))
    else:
        kept = _("%(n)s messages read") % {"n": number(context.kept, 0, language)}
        if context.kept == 1:
            kept = _("one message read")
        yield Row(_("Conversation"), kept, _left_out(context.dropped, language))
    counts = {
        "read": number(statement.prompt_tokens, 0, language),
        "written": number(statement.answer_tokens, 0, language),
    }
    yield Row(_("Tokens"), _("%(read)s read, %(written)s written") % counts)
    used = ", ".join((*statement.sources, *statement.tools))
    yield Row(_("Sources and tools"), used or _("none was used"))


def _left_out(dropped: int, language: str) -> str:
    _ = translator(language)
    if not dropped:
        return _("none left out")
    if dropped == 1:
        return _("the oldest left out")
    return _("the %(n)s oldest left out") % {"n": number(dropped, 0, language)}


def _proves(recorded: Recorded, language: str, *, whole: bool) -> Iterator[str]:
    """What whoever verifies the file knows then."""
    _ = translator(language)
    if whole:
        yield _("That the holder of this key has signed this account of this very answer, word for word.")
    else:
        yield _("That the holder of this key has signed this account of an answer; of which one, its salts show.")
    yield _("That the board adopted the edition that it names, and that this edition allows these settings.")
    if not recorded.is_proven:
        yield _("Nothing about the ledger yet: download it again once the receipt has its place.")
    elif recorded.standing is not None and recorded.standing.fulfilled:
        yield _(
            "That the receipt is in the ledger, and witnesses have confirmed its head: nobody takes it out unnoticed."
        )
    else:
        yield _("That the receipt is in the ledger, as its keeper alone has signed it.")


def disclosed_of(receipt: Receipt) -> dict[str, Any]:
    """A bundle's ``disclosed``: salts and values, for the one page that keeps them."""
    values: Mapping[str, Any] = receipt.values.by_field()
    return {
        name: None
        if values[name] is None
        else {"salt": to_base64(receipt.salts[name]), "value": value_to_json(values[name])}
        for name in FIELDS
    }

"""How the assistant answers and what it may do: the differences (rules: ``changes.py``)."""

from datetime import date
from decimal import Decimal

from commun.charter.clauses import (
    Allowed,
    Audit,
    Bounds,
    Callers,
    Context,
    Profile,
    Retention,
    Sampling,
    Software,
    Temporary,
    TemporaryRule,
    Witnesses,
)
from commun.charter.differences import (
    Change,
    Found,
    Kind,
    as_detail,
    change,
    from_to,
    in_words,
    listed,
    switched,
    up_or_down,
)
from commun.errors import N_

_FAST = N_(
    "Answers are now computed in the fast profile instead of the exact one: faster, but whoever checks an answer later "
    "can no longer recompute it exactly, only say how likely it is."
)
_EXACT = N_(
    "Answers are now computed in the exact profile instead of the fast one: slower, but whoever checks an answer later "
    "can recompute it exactly."
)
_SEED_ON = N_("Those who ask may now choose the seed, the number from which chance is drawn.")
_SEED_OFF = N_("Those who ask may no longer choose the seed, the number from which chance is drawn.")
_HOTTER = N_("Temperature: %(before)s → %(after)s. More is left to chance in the choice of words.")
_COOLER = N_("Temperature: %(before)s → %(after)s. Less is left to chance in the choice of words.")
_TEMPERATURE_BOUNDS = N_(
    "Those who ask may now set the temperature from %(least)s to %(most)s (so far: from %(least_before)s to "
    "%(most_before)s)."
)
_WIDER = N_("Choice of words (top_p): %(before)s → %(after)s. More words come into question.")
_NARROWER = N_("Choice of words (top_p): %(before)s → %(after)s. Fewer words come into question.")
_TOP_P_BOUNDS = N_(
    "Those who ask may now set the choice of words (top_p) from %(least)s to %(most)s (so far: from %(least_before)s "
    "to %(most_before)s)."
)
_LONGER_ANSWERS = N_(
    "Answers may now be longer: at most %(after)s tokens instead of %(before)s, unless asked otherwise."
)
_SHORTER_ANSWERS = N_(
    "Answers must now be shorter: at most %(after)s tokens instead of %(before)s, unless asked otherwise."
)
_LENGTH_BOUNDS = N_(
    "Those who ask may now set the greatest length of an answer from %(least)s to %(most)s tokens (so far: from "
    "%(least_before)s to %(most_before)s)."
)


def sampling(before: Sampling, after: Sampling) -> Found:
    if before.profile != after.profile:
        yield change("sampling.profile", _FAST if after.profile == Profile.FAST else _EXACT)
    yield from switched("sampling.caller_seed", before.caller_seed, after.caller_seed, _SEED_ON, _SEED_OFF)
    temperature, top_p, length = "sampling.temperature", "sampling.top_p", "sampling.max_tokens"
    yield from _bounds(temperature, before.temperature, after.temperature, (_HOTTER, _COOLER, _TEMPERATURE_BOUNDS))
    yield from _bounds(top_p, before.top_p, after.top_p, (_WIDER, _NARROWER, _TOP_P_BOUNDS))
    lengths = (_LONGER_ANSWERS, _SHORTER_ANSWERS, _LENGTH_BOUNDS)
    yield from _bounds(length, before.max_tokens, after.max_tokens, lengths)


def _bounds(clause: str, before: Bounds, after: Bounds, sentences: tuple[str, str, str]) -> Found:
    up, down, bounds = sentences
    yield from from_to(clause, before.default, after.default, up_or_down(up, down))
    if (before.least, before.most) != (after.least, after.most):
        now = {"least": as_detail(after.least), "most": as_detail(after.most)}
        so_far = {"least_before": as_detail(before.least), "most_before": as_detail(before.most)}
        yield change(clause, bounds, "changed", **now, **so_far)


_POLICY = N_(
    "When a conversation has become too long, the rule “%(after)s” now decides what the assistant forgets (so far: "
    "“%(before)s”)."
)
_RESERVE = N_("Room kept free for the answer: %(before)s → %(after)s tokens.")
_MORE_CONTEXT = N_(
    "The assistant now takes more of a conversation into account: %(after)s tokens instead of %(before)s."
)
_LESS_CONTEXT = N_(
    "The assistant now takes less of a conversation into account: %(after)s tokens instead of %(before)s."
)


def context(before: Context, after: Context) -> Found:
    yield from from_to("context", before.policy, after.policy, _POLICY)
    yield from from_to("context", before.answer_reserve, after.answer_reserve, _RESERVE)
    yield from from_to("context", before.most_tokens, after.most_tokens, up_or_down(_MORE_CONTEXT, _LESS_CONTEXT))


# What whoever asks may ask for: the sentence when it now may, and the one when it no longer may.
_CALLERS = {
    "system_messages": (
        N_("People and programs may now give the assistant instructions of their own, after the charter's."),
        N_("People and programs may no longer give the assistant instructions of their own."),
    ),
    "plain_completions": (
        N_("Programs may now have a text continued without the charter's system prompt."),
        N_("Programs may no longer have a text continued without the charter's system prompt."),
    ),
    "structured_output": (
        N_("Programs may now impose a structure on answers (a JSON schema)."),
        N_("Programs may no longer impose a structure on answers (a JSON schema)."),
    ),
    "stop_strings": (
        N_("Programs may now name words at which an answer breaks off."),
        N_("Programs may no longer name words at which an answer breaks off."),
    ),
    "ignore_eos": (
        N_("Programs may now make the model write on after the end of its answer (for measurements)."),
        N_("Programs may no longer make the model write on after the end of its answer."),
    ),
}


def callers(before: Callers, after: Callers) -> Found:
    for name, (on, off) in _CALLERS.items():
        yield from switched(f"callers.{name}", getattr(before, name), getattr(after, name), on, off)


_KEPT_LONGER = N_(
    "Conversations are now kept for longer: for %(after)s days after their last message, instead of %(before)s."
)
_KEPT_SHORTER = N_(
    "Conversations are now deleted sooner: %(after)s days after their last message, instead of %(before)s."
)
_KEPT_ONE_DAY = N_(
    "Conversations are now deleted sooner: one day after their last message, instead of %(before)s days."
)
_NOW_DELETED = N_(
    "Conversations are now kept for %(after)s days after their last message and then deleted; so far they were kept "
    "until their owner deleted them."
)
_NOW_DELETED_NEXT_DAY = N_(
    "Conversations are now kept for one day after their last message and then deleted; so far they were kept until "
    "their owner deleted them."
)
_KEPT_FOR_GOOD = N_(
    "Conversations are now kept until their owner deletes them; so far they were deleted after a number of days "
    "without a message (%(before)s)."
)


_HELD = N_(
    "A legal hold begins: until %(after)s, that day included, nothing that is stored is erased. What somebody deletes "
    "disappears from their pages at once and is erased afterwards; accounts can be deleted afterwards only."
)
_HELD_LONGER = N_("The legal hold lasts longer: until %(after)s, that day included (so far: until %(before)s).")
_HELD_SHORTER = N_("The legal hold ends sooner: after %(after)s (so far: after %(before)s).")
_NO_LONGER_HELD = N_(
    "There is no legal hold any more (so far: until %(before)s, that day included). What it kept from being erased is "
    "erased."
)


def retention(before: Retention, after: Retention) -> Found:
    yield from from_to("retention.days", before.days, after.days, _kept)
    yield from _hold(before.hold_until, after.hold_until)


def _hold(before: date | None, after: date | None) -> Found:
    clause = "retention.hold_until"
    if before is not None and after is not None:
        yield from from_to(clause, before, after, up_or_down(_HELD_LONGER, _HELD_SHORTER))
    elif after is not None:
        yield change(clause, _HELD, "added", after=as_detail(after))
    elif before is not None:
        yield change(clause, _NO_LONGER_HELD, "removed", before=as_detail(before))


def _kept(before: int, after: int) -> str:
    if after == 0:
        return _KEPT_FOR_GOOD
    if before == 0:
        return _NOW_DELETED_NEXT_DAY if after == 1 else _NOW_DELETED
    if after > before:
        return _KEPT_LONGER
    return _KEPT_ONE_DAY if after == 1 else _KEPT_SHORTER


_TEMPORARY = {
    TemporaryRule.OFFERED: N_(
        "Everybody may now choose, conversation by conversation, whether it is temporary, that is, never stored."
    ),
    TemporaryRule.ONLY: N_("All conversations are now temporary: none is stored any more."),
    TemporaryRule.NEVER: N_("There are no temporary conversations any more: every conversation is stored."),
}


def temporary(before: Temporary, after: Temporary) -> Found:
    if before != after:
        yield change("temporary", _TEMPORARY[after.rule])


_SAMPLED = N_(
    "Answers may now be drawn for an audit by others: a share of %(after)s of those whose owner agrees to it. They are "
    "kept for that, sealed, for seven days at most."
)
_NOT_SAMPLED = N_("Answers are no longer drawn for audits; so far a share of %(before)s was, where the owner agreed.")
_MORE_SAMPLED = N_(
    "More answers are now drawn for an audit by others: a share of %(after)s instead of %(before)s of those whose "
    "owner agrees to it."
)
_LESS_SAMPLED = N_(
    "Fewer answers are now drawn for an audit by others: a share of %(after)s instead of %(before)s of those whose "
    "owner agrees to it."
)


def audit(before: Audit, after: Audit) -> Found:
    yield from from_to("audit", before.sample_rate, after.sample_rate, _sampled)


def _sampled(before: Decimal, after: Decimal) -> str:
    if not before:
        return _SAMPLED
    if not after:
        return _NOT_SAMPLED
    return _MORE_SAMPLED if after > before else _LESS_SAMPLED


_SOURCES = {
    "documents": (N_("The assistant may now read documents."), N_("The assistant may no longer read documents.")),
    "feeds": (N_("The assistant may now read feeds."), N_("The assistant may no longer read feeds.")),
    "web": (
        N_("The assistant may now read pages on the web."),
        N_("The assistant may no longer read pages on the web."),
    ),
}
_SOURCE = (
    N_("The assistant may now read the source “%(name)s”."),
    N_("The assistant may no longer read the source “%(name)s”."),
)
_SOURCES_ORDER = N_("The sources are listed in another order.")
_TOOL = (
    N_("The assistant may now use the tool “%(name)s”."),
    N_("The assistant may no longer use the tool “%(name)s”."),
)
_TOOLS_ORDER = N_("The tools are listed in another order.")


def sources(before: Allowed, after: Allowed) -> Found:
    def say(name: str, kind: Kind) -> Change:
        may, may_not = _SOURCES.get(name, _SOURCE)
        return change("sources", may if kind == "added" else may_not, kind, name=name)

    yield from listed("sources", before.allowed, after.allowed, say, _SOURCES_ORDER)


def tools(before: Allowed, after: Allowed) -> Found:
    def say(name: str, kind: Kind) -> Change:
        return change("tools", _TOOL[0] if kind == "added" else _TOOL[1], kind, name=name)

    yield from listed("tools", before.allowed, after.allowed, say, _TOOLS_ORDER)


_LEAST = N_("This charter now needs Commun %(after)s or newer (so far: %(before)s or newer).")
_BELOW = N_("This charter now only runs on versions of Commun before %(after)s (so far: before %(before)s).")
_WITNESSES = N_("The rules by which outside witnesses confirm the public register have changed.")


def software(before: Software, after: Software) -> Found:
    yield from from_to("software", before.least, after.least, _LEAST)
    yield from from_to("software", before.below, after.below, _BELOW)


def witnesses(before: Witnesses, after: Witnesses) -> Found:
    yield from in_words("witnesses", before.policy, after.policy, _WITNESSES)

"""What a receipt states and no audit can compute: told beside a verdict, for whoever asked to say whether it is so.

A verdict is about a model, a prompt, settings and a seed. Who cut an answer short, and says that a stop string or a
person did, or puts a sentence into the prompt, and says that the person added it, has an answer that is identical to
the receipt's own word. The receipt says these things aloud, under the server's key; whoever asked knows whether they
asked so. What was not looked at, for want of the charter's files or of any text, is told here, too.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final

from commun.audit.case import Case
from commun.errors import N_
from commun.receipts.sentences import Sentence
from commun.receipts.statement import State


class Stated(StrEnum):
    """Programs compare these."""

    NO_CHARTER = "no-charter"
    NO_MESSAGES = "no-messages"
    PLAIN_TEXT = "plain-text"
    ADDED = "added"
    LEFT_OUT = "left-out"
    STOP_STRINGS = "stop-strings"
    WRITES_ON = "writes-on"
    MOST_TOKENS = "most-tokens"
    CUT_OFF = "cut-off"


HEAD: Final = N_("Not computed, only stated; whoever asked knows whether it is so:")
WORDS: Final[Mapping[Stated, str]] = {
    Stated.NO_CHARTER: N_(
        "The charter’s files are not in the bundle: whether the model was told first what its board adopted was not "
        "looked at."
    ),
    Stated.NO_MESSAGES: N_("The receipt commits to the prompt’s tokens alone: no text of it was compared with them."),
    Stated.PLAIN_TEXT: N_("It is a plain text that was continued, without any system prompt."),
    Stated.ADDED: N_("After the adopted prompt the model was told %(count)s characters that whoever asked had added."),
    Stated.LEFT_OUT: N_("Earlier messages were left out of the prompt for want of room: %(count)s."),
    Stated.STOP_STRINGS: N_("Strings that whoever asked named would end the answer: %(count)s."),
    Stated.WRITES_ON: N_("Whoever asked wanted the model to write on after its end."),
    Stated.MOST_TOKENS: N_("It ends for want of room, not by itself: %(count)s tokens were its most."),
    Stated.CUT_OFF: N_("It was cut off before its end (%(state)s): what would have followed is not known."),
}


def stated(case: Case) -> Iterator[tuple[Stated, Sentence]]:
    for what, is_so, count in _claims(case):
        if is_so:
            details: dict[str, str | int] = {"count": count, "state": case.statement.state.value}
            yield what, Sentence(WORDS[what], details)


def _claims(case: Case) -> Iterator[tuple[Stated, bool, int]]:
    """Each with the number that its words tell, 0 for none."""
    statement = case.statement
    is_complete = statement.state is State.COMPLETE
    yield Stated.NO_CHARTER, case.most_tokens is None, 0
    yield Stated.NO_MESSAGES, case.messages is None, 0
    yield Stated.PLAIN_TEXT, statement.context.kind == "text", 0
    yield Stated.ADDED, bool(case.added), len(case.added)
    yield Stated.LEFT_OUT, statement.context.dropped > 0, statement.context.dropped
    yield Stated.STOP_STRINGS, bool(case.stop), len(case.stop)
    yield Stated.WRITES_ON, statement.sampler.ignore_eos, 0
    yield Stated.MOST_TOKENS, is_complete and statement.finish == "length", len(case.answer)
    yield Stated.CUT_OFF, not is_complete, 0

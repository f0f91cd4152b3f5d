"""Answers that another server drew: a server that somebody names is asked for its figures over prompt and answer, or
the public weights on one's own machine are.

- whoever names a server shows it the conversation, and decides whether it is the one that answered (which then judges
  itself) or another with the same model. Whoever names weights knows that they are that model's: the receipt does not;
- its figures can be compared with what the receipt recorded and with honest answers of the same two servers
  (``commun audit calibrate --remote``); without those they are told, and only a text or an ending that cannot be is
  called inconsistent;
- answers of an engine in Commun's own process are left for ``asking.ask``.

Raises nothing for what is in a bundle or in a reply.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from commun.audit.calibration import Machine
from commun.audit.case import Case
from commun.audit.measures import Measures
from commun.audit.verdict import OTHER_SERVER, Comparison, Judgement, Recomputed, measured
from commun.auditing.asking import LOADING, Audited, NotAsked
from commun.auditing.asking import Comparison as Comparing
from commun.auditing.weights import Weights
from commun.engine.listing import ListingReader
from commun.engine.manifest import Progress
from commun.errors import N_, CommunError
from commun.receipts.sentences import Sentence

ASKING_THERE: Final = N_("Asking the other server")


class Server(Protocol):
    """``engine.remote_reader.RemoteReader``, or ``engine.listing.ListingReader`` on this machine."""

    @property
    def machine(self) -> Machine: ...
    def recompute(self, case: Case, *, progress: Callable[[int, int], None]) -> Recomputed: ...


def ask_there(
    answers: Sequence[Audited], server: Server, comparison: Comparing, *, progress: Progress
) -> tuple[Audited, ...]:
    """In the same order, each that another server drew with its judgement or its trouble."""
    remote = [one.case for one in answers if one.case is not None and one.case.is_remote]
    total, done = sum(len(case.answer) for case in remote), 0
    asked = []
    for one in answers:
        if one.case is None or not one.case.is_remote:
            asked.append(one)
            continue

        def told(count: int, _: int, start: int = done) -> None:
            progress(ASKING_THERE, start + count, total)

        asked.append(_asked(one, one.case, server, comparison, told))
        done += len(one.case.answer)
    return tuple(asked)


def ask_weights(
    answers: Sequence[Audited], weights: Weights, model: Path, comparison: Comparing, *, progress: Progress
) -> tuple[Audited, ...]:
    """As ``ask_there``, of the model that the auditor names. Raises NoSuchWeights, ModelError."""
    if not any(one.case is not None and one.case.is_remote for one in answers):
        return tuple(answers)
    with weights.as_named(model) as ready:
        progress(LOADING, 0, 0)
        reader = ListingReader(ready.folder, ready.manifest.context_length)
        asked = ask_there(answers, reader, comparison, progress=progress)
        ready.check()
    return asked


def _asked(
    one: Audited, case: Case, server: Server, comparison: Comparing, told: Callable[[int, int], None]
) -> Audited:
    try:
        one = replace(one, here=server.machine)
        comparison.check(case, server.machine)
        one = replace(one, recomputed=server.recompute(case, progress=told))
        assert one.recomputed is not None  # noqa: S101  (for the type checker)
        return replace(one, judgement=comparison.judge(case, one.recomputed, server.machine))
    except CommunError as trouble:
        return replace(one, trouble=trouble)
    except RuntimeError:  # OpenVINO's own, such as of a chat template that refuses these messages
        return replace(one, trouble=NotAsked())


def figures_there(judgement: Judgement) -> Iterator[Sentence]:
    """Each in one line, with what it means."""
    if judgement.comparison is Comparison.CALIBRATED:
        yield Sentence(
            N_("Compared with %(honest)s honest answers of that server, about which the same was asked."),
            {"honest": judgement.honest},
        )
    yield from _figures(judgement.measures)


def unjudged(one: Audited) -> Iterator[Sentence]:
    """What was found of an answer that could be compared with no honest ones."""
    if one.case is not None and one.recomputed is not None and one.judgement is None and one.case.is_remote:
        yield Sentence(OTHER_SERVER)
        yield from _figures(measured(one.case, one.recomputed))


def _figures(found: Measures) -> Iterator[Sentence]:
    yield Sentence(
        N_("Tokens: %(tokens)s, of which %(unlike)s are none of the words that temperature and top_p leave."),
        {"tokens": found.tokens, "unlike": found.unlike},
    )
    if found.unlike:
        yield Sentence(
            N_("The farthest of them is %(distance)s nats less likely than the last of these words."),
            {"distance": f"{2 * found.worst_shift:.2f}"},
        )
    if found.figures is None:
        yield Sentence(N_("Log-probabilities: the receipt commits to none."))
    else:
        yield Sentence(
            N_("Log-probabilities: the recorded ones are off by %(worst)s at most, %(share)s per nat of surprise."),
            {"share": f"{found.figures:.2g}", "worst": f"{found.worst_figure:.2g}"},
        )
    yield Sentence(
        N_(
            "Likelihood: the answer’s surprise is %(likelihood)s standard deviations from what draws bring; words that "
            "are not listed count as likely as the last one that is."
        ),
        {"likelihood": f"{found.likelihood:.2f}"},
    )

"""Answers are generated again, each alone, with their receipts' seeds: where do they first differ, and by what margin?

After the audit, and beside it (``audit/replay.py`` says why): no verdict depends on this.

- an answer that could be compared with nothing (no calibration) is generated again, too; one whose receipt is refused,
  or that another server or an unknown sampler drew, is not;
- the pipeline first, for all answers of one model and profile; then, where one differs, the reader, for the margins:
  never both in memory;
- a margin under a JSON Schema is not known: which words the grammar forbade, only the engine knows.

Raises nothing for what is in a bundle.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Final

from commun.audit.case import CannotAudit, Case, Why
from commun.audit.replay import NEAR, Replay, compare
from commun.auditing.asking import ALL_CORES, LOADING, Audited, NotAsked
from commun.auditing.weights import Weights
from commun.engine.grammar_check import check_compiles
from commun.engine.logits import LogitReader
from commun.engine.manifest import Progress
from commun.engine.rendering import Renderer
from commun.engine.replaying import Replayer
from commun.engine.weights import ReadyModel
from commun.errors import N_, CommunError
from commun.receipts.sentences import Sentence, filled
from commun.receipts.statement import State

AGAIN: Final = N_("Generating again")
STILL: Final = frozenset({Why.NO_CALIBRATION, Why.FEW_HONEST, Why.STRUCTURED})  # not compared, and yet of this engine
SHOWN_LETTERS: Final = 40  # of one token's text


@dataclass(frozen=True, slots=True)
class Again:
    """Of one answer. ``replay`` None: ``trouble`` says why. ``texts``: of the tokens that differ, "" for none there."""

    case: Case
    replay: Replay | None = None
    texts: tuple[str, str] = field(default=("", ""), repr=False)
    trouble: CommunError | None = None

    @property
    def profile(self) -> str:
        return self.case.statement.engine.profile


def generate_again(answers: Sequence[Audited], weights: Weights, *, progress: Progress) -> tuple[Again | None, ...]:
    """``answers``: asked already. One for each, in the same order; None for one that cannot be generated again."""
    done: list[Again | None] = [Again(one.case) if one.case is not None and _can_be(one) else None for one in answers]
    groups: dict[tuple[str, str], list[int]] = {}
    for index, one in enumerate(done):
        if one is not None:
            groups.setdefault((one.case.statement.model_digest, one.profile), []).append(index)
    for (digest, profile), indices in groups.items():
        group = [one for one in (done[index] for index in indices) if one is not None]
        try:
            with weights.ready(digest, group[0].case.statement.model_id) as model:
                progress(LOADING, 0, 0)
                found = _with_margins(_generated(group, model, profile, progress), model, profile)
                model.check()
        except CommunError as trouble:
            found = [replace(one, replay=None, trouble=trouble) for one in group]
        except RuntimeError:  # OpenVINO's own
            found = [replace(one, replay=None, trouble=NotAsked()) for one in group]
        for index, again in zip(indices, found, strict=True):
            done[index] = again
    return tuple(done)


def _can_be(one: Audited) -> bool:
    trouble = one.trouble
    return trouble is None or (isinstance(trouble, CannotAudit) and trouble.why in STILL and one.here is not None)


def _generated(group: Sequence[Again], model: ReadyModel, profile: str, progress: Progress) -> list[Again]:
    longest = max(len(one.case.prompt) + len(one.case.answer) for one in group) + 1
    replayer, renderer = Replayer(model.folder, profile=profile, longest=longest), Renderer(model.folder)
    total, before, found = sum(len(one.case.answer) for one in group), 0, []
    for one in group:
        case = one.case
        try:
            renderer.check_known((*case.prompt, *case.answer))
            if case.schema is not None:
                check_compiles(renderer.folder, case.schema)
            _, _, stopped = renderer.text_of(case.answer, case.stop)
            is_open = case.statement.state is not State.COMPLETE or stopped is not None
            with closing(
                _told(replayer.tokens(case, model.manifest.context_length), before, total, progress)
            ) as tokens:
                replay = compare(case.answer, tokens, is_open=is_open)
            texts = (_text(renderer, replay.answered), _text(renderer, replay.again))
            found.append(replace(one, replay=replay, texts=texts))
        except CommunError as trouble:
            found.append(replace(one, trouble=trouble))
        before += len(case.answer)
    return found


def _told(tokens: Generator[int], before: int, total: int, progress: Progress) -> Generator[int]:
    with closing(tokens):
        for done, token in enumerate(tokens, 1):
            progress(AGAIN, min(before + done, total), total)
            yield token


def _text(renderer: Renderer, token: int | None) -> str:
    return "" if token is None else renderer.piece_of(token)[:SHOWN_LETTERS]


def _with_margins(found: Sequence[Again], model: ReadyModel, profile: str) -> list[Again]:
    reader = None
    with_margins = []
    for one in found:
        if one.replay is not None and not one.replay.is_same and one.case.schema is None:
            reader = reader or LogitReader(model.folder, profile=profile, threads=ALL_CORES)
            margin = _margin(one.case, one.replay, reader)
            with_margins.append(replace(one, replay=replace(one.replay, margin=margin)))
        else:
            with_margins.append(one)
    return with_margins


def _margin(case: Case, replay: Replay, reader: LogitReader) -> float:
    tokens = [token for token in (replay.answered, replay.again) if token is not None]
    return max(reader.shift_at(case, replay.agree, token) for token in tokens)


SAME: Final = N_("Generated again, alone: the same to the last of %(tokens)s tokens.")
DIFFERS: Final = N_(
    "Generated again, alone: token %(place)s is another: “%(answered)s” in the answer, “%(again)s” here."
)
ENDS: Final = N_("Generated again, alone: it ends before token %(place)s of the answer, “%(answered)s”.")
GOES_ON: Final = N_("Generated again, alone: it goes on after the answer’s end, with token %(place)s, “%(again)s”.")
NEAR_TIE: Final = N_(
    "A near tie: logits that are off by %(margin)s would lead to either. What else ran at the time may have decided it."
)
NO_TIE: Final = N_(
    "No near tie: logits would have to be off by %(margin)s to lead to either, and up to %(near)s counts as one."
)
NO_MARGIN: Final = N_("By what margin is not known: a grammar chose among the words.")
BESIDE: Final = N_("No verdict follows from the first difference: the audit judges each token by itself.")
NOT_AGAIN: Final = N_("It was not generated again.")


def sentences(one: Again | None) -> Iterator[Sentence]:
    """Why an answer was not even tried is why it could not be audited."""
    if one is None:
        yield Sentence(NOT_AGAIN)
    elif one.replay is not None:
        yield from _differences(one.replay, one)


def _differences(replay: Replay, one: Again) -> Iterator[Sentence]:
    if replay.is_same:
        yield Sentence(SAME, {"tokens": replay.agree})
        return
    answered, again = one.texts
    head = ENDS if replay.again is None else GOES_ON if replay.answered is None else DIFFERS
    yield Sentence(head, {"place": replay.place, "answered": answered, "again": again})
    if replay.margin is None:
        yield Sentence(NO_MARGIN)
    else:
        near = f"{NEAR.get(one.profile, 0.0):.1g}"
        text = NEAR_TIE if replay.is_near(one.profile) else NO_TIE
        yield Sentence(text, {"margin": f"{replay.margin:.1e}", "near": near})
    yield Sentence(BESIDE)


def again_json(one: Again | None) -> dict[str, Any]:
    """Sentences in English."""
    found: dict[str, Any] = {"sentences": [filled(each) for each in sentences(one)]}
    if one is not None and one.trouble is not None:
        found |= {"trouble": one.trouble.code}
    if one is not None and one.replay is not None:
        replay, (answered, again) = one.replay, one.texts
        found |= {
            "same": replay.is_same,
            "agree": replay.agree,
            "answered": None if replay.answered is None else {"token": replay.answered, "text": answered},
            "again": None if replay.again is None else {"token": replay.again, "text": again},
            "margin": replay.margin,
            "near_tie": None if replay.margin is None else replay.is_near(one.profile),
        }
    return found

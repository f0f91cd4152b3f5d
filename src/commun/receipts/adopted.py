"""Steps 5 and 6: the edition was adopted by the charter's board, and what answered is what it allows.

Step 5, of the charter's files in the bundle, by the ring's own code (``charter/chain.py``) and in this order:

- every root from the first to the edition's: each signed by its own quorum and by the one before it, and by every
  guard where an entrenched clause changes; the first is the one that the receipt names;
- the edition's targets, snapshot and timestamp, signed by the quorum of that root and bound to each other; its files by
  SHA-256 and length; the charter without a mistake, and the one that the root has entrenched; TUF's own workflow;
- its number and digest are the receipt's; every file in the bundle was needed;
- its mandate, or its root, had not ended more than STALE_GRACE_S before the turn began, unless the receipt says stale.

The editions between the first and this one are not in the bundle: that this one followed from them is the board's
signature, and that it was published the ledger's entry (step 7).

Step 6, by the clauses of that edition: model and manifest, engine profile, software, sampling within its bounds, what a
caller may ask for, persona, context policy, sources, tools; and, where the messages are disclosed, that the first one
is the adopted system prompt, with nothing after it but what a caller may add. ``max_tokens`` has no least here: an
answer has what is left of the context.

Raises ReceiptError.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from commun.charter.canonical import digest_of
from commun.charter.chain import Link, check_edition, claimed_root, run_workflow, walk_roots
from commun.charter.clauses import Bounds, Charter, Model, Profile
from commun.charter.edition import Edition
from commun.charter.errors import CharterError, MixedEditions, TooLarge
from commun.charter.repository import Repository, targets_name
from commun.receipts.commitments import TEXT_ROLE, Message
from commun.receipts.errors import Reason, ReceiptError
from commun.receipts.statement import Scheme, Statement

SPEAKERS: Final = frozenset({"user", "assistant"})  # whoever else could instruct the model, beside the board
STALE_GRACE_S: Final = 60  # a server notices within seconds that a mandate has ended
_ANY_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)  # what expired is told by the receipt, and compared below


@dataclass(frozen=True, slots=True)
class Adopted:
    """``roots``: how many boards there were up to this edition's."""

    edition: Edition
    roots: int


class _Published(Repository):
    """The bundle's files as the published folder: nothing is read from any disk. ``used``: what was asked for."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(Path())
        self._files = files
        self.used: set[str] = set()

    def find(self, name: str, *, limit: int) -> bytes | None:
        data = self._files.get(name)
        self.used.add(name)
        if data is not None and len(data) > limit:
            raise TooLarge(file=name, reason="longer than its bound")
        return data


class _Recorded(Repository):
    """``files``: what was read of the folder."""

    def __init__(self, repository: Repository) -> None:
        super().__init__(repository.folder)
        self.files: dict[str, bytes] = {}

    def find(self, name: str, *, limit: int) -> bytes | None:
        data = super().find(name, limit=limit)
        if data is not None:
            self.files[name] = data
        return data


def charter_files(repository: Repository, number: int) -> dict[str, bytes]:
    """What a bundle carries of edition ``number``: exactly the files that step 5 reads. Raises CharterError."""
    recorded = _Recorded(repository)
    _verified(recorded, number)
    return recorded.files


def check_adopted(files: Mapping[str, bytes], statement: Statement) -> Adopted:
    """Step 5."""
    number = statement.charter.edition
    if targets_name(number) not in files:
        raise ReceiptError(Reason.CHARTER_OTHER_EDITION, "the bundle has another edition than the receipt names")
    published = _Published(files)
    try:
        first_root, roots, link = _verified(published, number)
    except CharterError as error:
        reason = str(error.details.get("reason", "it has mistakes"))
        raise ReceiptError(Reason.CHARTER_INVALID, f"{error.code}: {reason}") from error
    if first_root != statement.charter.first_root or link.edition.digest != statement.charter.digest:
        raise ReceiptError(Reason.CHARTER_OTHER_EDITION, "the bundle has another edition than the receipt names")
    if set(files) - published.used:
        raise ReceiptError(Reason.CHARTER_EXTRA_FILE, "the bundle has a file that the edition does not")
    ended = min(link.edition.expires, link.root.signed.expires)
    if not statement.charter.stale and statement.began - ended > timedelta(seconds=STALE_GRACE_S):
        raise ReceiptError(Reason.CHARTER_EXPIRED, "the board's mandate had ended, and the receipt does not say so")
    return Adopted(link.edition, roots)


def _verified(published: Repository, number: int) -> tuple[str, int, Link]:
    roots, workflow = walk_roots(published, newest=claimed_root(published, number), now=_ANY_TIME)
    link = check_edition(published, number, roots, None, floating=number > 1)
    if link.root is not roots[-1]:
        raise MixedEditions(file=targets_name(number), reason="its root is not the newest one here")
    run_workflow(workflow, published, number)
    return digest_of(roots[0].signed_bytes), len(roots), link


def check_allowed(charter: Charter, statement: Statement, *, stop: bool, schema: bool) -> Model:
    """Step 6. ``stop`` and ``schema``: whether the receipt commits to any. The model that was adopted."""
    model = next((one for one in charter.models.adopted if one.id == statement.model_id), None)
    if model is None or model.digest != statement.model_digest:
        raise ReceiptError(Reason.MODEL_NOT_ADOPTED, "the charter adopts no such model, or other files of it")
    profile = "remote" if model.format == "remote" else Profile(charter.sampling.profile).value
    if statement.engine.profile != profile:
        raise ReceiptError(Reason.ENGINE_NOT_ADOPTED, "the engine's profile is not the charter's")
    software = charter.software
    if not release(software.least) <= release(statement.software) < release(software.below):
        raise ReceiptError(Reason.SOFTWARE_NOT_ALLOWED, "the charter does not allow this version of Commun")
    for clause, holds in _clauses(charter, statement, stop=stop, schema=schema):
        if not holds():
            raise ReceiptError(Reason.OUTSIDE_CHARTER, f"outside the clause {clause}")
    return model


def _clauses(
    charter: Charter, statement: Statement, *, stop: bool, schema: bool
) -> Iterator[tuple[str, Callable[[], bool]]]:
    sampling, callers, sampler = charter.sampling, charter.callers, statement.sampler
    yield "sampling.temperature", lambda: _is_within(sampler.temperature, sampling.temperature)
    yield "sampling.top_p", lambda: _is_within(sampler.top_p, sampling.top_p)
    yield "sampling.max_tokens", lambda: sampler.max_tokens <= sampling.max_tokens.most
    yield "sampling.caller_seed", lambda: sampling.caller_seed or statement.seed.scheme is not Scheme.CALLER
    yield "callers.plain_completions", lambda: callers.plain_completions or statement.context.kind != "text"
    yield "callers.stop_strings", lambda: callers.stop_strings or not stop
    yield "callers.structured_output", lambda: callers.structured_output or not schema
    yield "callers.ignore_eos", lambda: callers.ignore_eos or not sampler.ignore_eos or sampler.max_tokens == 1
    yield "personas", lambda: statement.persona == "" or charter.persona(statement.persona) is not None
    yield "context", lambda: statement.context.policy == charter.context.policy
    yield "sources", lambda: set(statement.sources) <= set(charter.sources.allowed)
    yield "tools", lambda: set(statement.tools) <= set(charter.tools.allowed)


def check_has_messages(statement: Statement) -> None:
    """Step 6, of a receipt that commits to no messages: token ids alone would hide what a conversation began with."""
    if statement.context.kind != "text" and (statement.prompt_tokens or statement.answer_tokens):
        raise ReceiptError(Reason.PROMPT_NOT_ADOPTED, "a conversation, and no message of it is committed to")


def check_prompt(charter: Charter, statement: Statement, messages: Sequence[Message]) -> None:
    """Step 6, where the messages are disclosed: what the model was told first is what the board has adopted."""
    if statement.context.kind == "text":
        holds = [role for role, _ in messages] == [TEXT_ROLE]
    else:
        adopted = charter.system_prompt(statement.language, statement.persona)
        first = messages[0] if messages else ("", "")
        added = charter.callers.system_messages and first[1].startswith(f"{adopted}\n\n")
        alone = all(role in SPEAKERS for role, _ in messages[1:])
        holds = first[0] == "system" and alone and (first[1] == adopted or added)
    if not holds:
        raise ReceiptError(Reason.PROMPT_NOT_ADOPTED, "the model was told something else first than the adopted prompt")


def added_by_caller(charter: Charter, statement: Statement, messages: Sequence[Message]) -> str:
    """What whoever asked has put after the adopted prompt; "" for nothing. ``messages``: ``check_prompt`` holds."""
    if statement.context.kind == "text" or not messages:
        return ""
    adopted = charter.system_prompt(statement.language, statement.persona)
    return messages[0][1].removeprefix(adopted).removeprefix("\n\n")


def _is_within(text: str, bounds: Bounds) -> bool:
    return bounds.least <= Decimal(text) <= bounds.most


def release(version: str) -> tuple[int, ...]:
    """A version's numbers without trailing zeros; what follows them (``.dev1``, ``rc1``) counts for nothing."""
    found: list[int] = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
        if digits != part:
            break
    while found and found[-1] == 0:
        found.pop()
    return tuple(found)

"""The golden bundles: what must be accepted, wholly or in part."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import derived
import world
from commun.receipts.bundle import PENDING, Logged, LoggedEntry
from commun.receipts.commitments import LEAST_LOGPROB, Values
from commun.receipts.seeds import salt_of
from commun.receipts.statement import (
    BY_SERVER,
    CharterUsed,
    ContextUsed,
    EngineUsed,
    Sampler,
    Scheme,
    Seed,
    State,
)
from commun.receipts.verification import Trust, Verdict

PINNED = Trust(charter=world.second().first_root)
EMPTY = Values(None, None, None, "", None)
REMOTE = Sampler("remote", "0.7", "0.95", 1024, ignore_eos=False)


@dataclass(frozen=True)
class Case:
    """``reason`` "": it is not refused."""

    name: str
    about: str
    data: bytes
    verdict: Verdict
    trust: Trust = PINNED
    reason: str = ""


def golden() -> list[Case]:
    cases: list[Case] = []

    def verified(name: str, about: str, made: Any, trust: Trust = PINNED) -> None:
        data = made if isinstance(made, bytes) else made.data()
        cases.append(Case(name, about, data, Verdict.VERIFIED, trust))

    def partial(name: str, about: str, made: Any, trust: Trust = PINNED) -> None:
        cases.append(Case(name, about, made.data(), Verdict.PARTIAL, trust))

    whole, signed, bundle, second = world.bundle(), world.signed, world.bundle, world.second()
    verified(
        "complete", "a whole bundle; the reader has pinned the charter, whose policy names ledger and witnesses", whole
    )
    verified(
        "own-policy",
        "the reader's own policy in place of the charter's: all of the two witnesses that signed",
        whole,
        replace(PINNED, policy=world.policy_of(needed="all", names=("north", "south")).encode()),
    )
    verified("trusted-key", "the reader trusts the receipt key itself", whole, replace(PINNED, keys=(whole.key,)))
    verified(
        "fields-of-the-bundle-in-another-order",
        "spaces and order are free outside the envelope: nothing is signed there",
        world.dumped(dict(reversed(list(world.value().items())))).replace(b": ", b" :\t"),
    )
    verified(
        "three-witnesses",
        "one more than the policy needs",
        bundle(
            ledger=world.logged(signed().entry, cosigners=dict.fromkeys(("north", "south", "west"), world.CONFIRMED))
        ),
    )
    _states(verified)
    _ways(verified)
    _seeds(verified, partial)
    partial("nothing-pinned", "nothing of the reader's own: anybody could have made this world", whole, Trust())
    partial("prompt-withheld", "passed on without the question", whole.without("prompt_token_ids", "prompt_messages"))
    partial("everything-withheld", "no value and no salt is left", replace(whole, disclosed={}))
    partial(
        "pending",
        "the ledger's proof is not there yet; the edition's is",
        bundle(ledger=replace(whole.ledger, receipt=PENDING)),
    )
    partial("nothing-logged", "no proof of the ledger at all", bundle(ledger=Logged()))
    partial(
        "edition-not-shown-in-ledger",
        "without the proof of the edition",
        bundle(ledger=replace(whole.ledger, edition=None)),
    )
    bare = replace(whole, charter=None, ledger=Logged(receipt=PENDING))
    partial("bare", "as it is issued: no charter in it, the ledger's proof pending, no hint", bare)
    partial("charter-elsewhere", "the charter's files are not in the bundle", bundle(charter=None))
    partial(
        "no-ledger-named",
        "of a Commun without a ledger",
        replace(signed(ledger="").bundle(charter=second.documents), ledger=Logged()),
    )
    partial(
        "ledger-named-by-a-hint-only",
        "everything is there, and no policy names the ledger's key",
        _hinted(),
        replace(PINNED, keys=(whole.key,)),
    )
    partial("first-edition", "the first edition, under the first root", _first_edition())
    for name, about, files in (
        ("legal-hold", "a hold until the mandate's last day", world.charter_files(world.BOARD, hold="2027-12-31")),
        (
            "no-hold-entrenched",
            "that there is no hold is entrenched, under the clause's own name",
            world.charter_files(world.BOARD, entrenched="retention.hold_until"),
        ),
    ):
        verified(name, about, _under(world.adopt(files, world.first(), world.BOARD)))
    return cases


def _hinted() -> Any:
    files = world.charter_files(world.NEW_BOARD, policy="")
    return _under(world.adopt(files, world.first(), ("Ada", "Benoît"), root_signers=("Ada", "Benoît", "Dara")))


def _under(edition: world.Edition) -> Any:
    """A whole bundle under another second edition."""
    receipt = world.signed(charter=CharterUsed(2, edition.digest, edition.first_root, stale=False))
    ledger, index, at = world.ledger_with(receipt.entry)
    ledger.entries[at] = world.adoption(edition)
    logged = Logged(
        world.LOG.verifier.text(), ledger.proof(index), LoggedEntry(world.adoption(edition), ledger.proof(at))
    )
    return receipt.bundle(charter=edition.documents, ledger=logged)


def _first_edition() -> Any:
    first = world.first()
    receipt = world.signed(charter=CharterUsed(1, first.digest, first.first_root, stale=False))
    return receipt.bundle(charter=first.documents)


def _states(verified: Any) -> None:
    signed, bundle = world.signed, world.bundle
    cut = replace(world.VALUES, answer_token_ids=(504, 5346), answer_text="The number", logprobs=(-12345, -6931472))
    verified("stopped", "the reader stopped it", bundle(signed(cut, state=State.STOPPED, finish="cancelled")))
    verified("interrupted", "the server was closed", bundle(signed(cut, state=State.INTERRUPTED, finish="cancelled")))
    verified(
        "failed-before-the-first-word",
        "no engine had it: no tokens, an empty text",
        bundle(
            signed(
                EMPTY,
                state=State.FAILED,
                error="message_too_long",
                finish="cancelled",
                engine=EngineUsed("", "", "exact"),
                context=ContextUsed("chat", "oldest-turns-first", 0, 0),
            )
        ),
    )
    verified(
        "cut-by-length",
        "the answer is as long as it may be",
        bundle(signed(finish="length", sampler=Sampler("openvino-genai/mt19937-cdf/1", "0", "1", 6, ignore_eos=False))),
    )
    over = world.BEGAN + timedelta(days=500)
    late = {"north": int(over.timestamp()) + 9, "south": int(over.timestamp()) + 9}
    used = CharterUsed(2, world.second().digest, world.second().first_root, stale=True)
    receipt = signed(charter=used, began=over, ended=over)
    verified(
        "stale-and-told",
        "the mandate had ended, and the receipt says so",
        bundle(receipt, ledger=world.logged(receipt.entry, cosigners=late)),
    )


def _seeds(verified: Any, partial: Any) -> None:
    made = derived.bundle
    verified("seed-derived-again", "the published secret gives the seed, which nobody could choose", made())
    verified("seed-committed-to", "its secret is not published yet", made(shown=("opened",)))
    verified("seed-shown-alone", "the salt is shown, and nothing of the ledger's", made(shown=()))
    servers = derived.seed(by=BY_SERVER)
    verified("nonce-of-the-server", "the caller sent no nonce, and the receipt says so", made(derived.signed(servers)))
    for name, nonce in (("shortest-nonce", bytes(16)), ("longest-nonce", bytes(range(64)))):
        receipt = derived.signed(derived.seed(nonce))
        verified(name, f"{len(nonce)} bytes", made(receipt, salt=salt_of(derived.SECRET, nonce)))
    partial("seed-withheld", "passed on without the seed's salt", replace(made(), seed=None))
    partial(
        "logged-after-its-secret",
        "the secret was published first, so that whoever knew it could choose the seed: it proves nothing",
        made(early=True),
    )
    partial(
        "secret-that-nothing-shows-before-the-receipt",
        "the secret is published, and its digest came after the receipt: who made it then could choose the seed",
        made(late=True, shown=("published",)),
    )
    whole = made()
    partial(
        "seed-before-the-receipts-proof",
        "the receipt's own proof is pending; the secret's entries are proven",
        replace(whole, ledger=replace(whole.ledger, receipt=PENDING)),
    )


def _ways(verified: Any) -> None:
    signed, bundle, values = world.signed, world.bundle, world.VALUES
    verified("caller-seed", "the caller chose the seed", bundle(signed(seed=Seed(Scheme.CALLER, 42))))
    before = Seed(Scheme.DERIVED_BEFORE, 7, epoch="ab" * 32, salt="cd" * 32, nonce="0123456789abcdef")
    verified(
        "derived-seed",
        "a seed of an older receipt, whose turn's id the server drew (only its form is looked at)",
        bundle(signed(seed=before)),
    )
    far = {"model_id": "far", "model_digest": "", "engine": EngineUsed("vllm", "", "remote"), "sampler": REMOTE}
    unknown = replace(values, prompt_token_ids=None, answer_token_ids=None, logprobs=None)
    seed = Seed(Scheme.REMOTE, 1)
    verified(
        "remote-model",
        "another server, which tells no token ids",
        bundle(signed(unknown, seed=seed, prompt_tokens=6, answer_tokens=6, **far)),
    )
    text = replace(values, prompt_messages=(("text", "Once upon a time"),))
    verified(
        "plain-text",
        "a text that is continued, without a system prompt",
        bundle(signed(text, context=ContextUsed("text", "oldest-turns-first", 0, 0))),
    )
    french = replace(
        values,
        prompt_messages=(
            ("system", "Vous répondez brièvement.\n\nVous êtes drôle."),
            ("user", "C’est quoi, un quorum ?"),
        ),
        answer_text="« Assez de monde » \u202f!\r\n\t\u0000\u2028",
    )
    verified(
        "french-persona",
        "another language, a persona, and characters that JSON escapes",
        bundle(signed(french, persona="clown", language="fr")),
    )
    added = (("system", "You answer briefly.\n\nSpeak like a pirate."), ("user", "What is a quorum?"))
    verified(
        "callers-own-system-message",
        "after the adopted one, as the charter allows",
        bundle(signed(replace(values, prompt_messages=added))),
    )
    schema = '{"type":"object","properties":{"n":{"type":"integer"}}}'
    bound = replace(values, answer_text='{"n": 1}', stop=("\n\n", "END", ""), schema=schema)
    verified("stop-strings-and-schema", "what the caller wrote, committed to as well", bundle(signed(bound)))
    edge = replace(
        values,
        logprobs=(0, -1, 1, LEAST_LOGPROB, 2**53 - 1, -(2**52)),
        answer_token_ids=(0, 1, 255, 256, 65536, 2**32 - 1),
    )
    verified("largest-numbers", "every length of a number", bundle(signed(edge)))

"""Charters in memory, for tests of what follows from a charter; how one is signed and verified is tested elsewhere."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from commun.assistant.in_force import CharterInForce
from commun.charter.clauses import (
    Allowed,
    Audit,
    Board,
    Bounds,
    Callers,
    Charter,
    Context,
    Entrenched,
    Mandate,
    Member,
    Model,
    ModelFile,
    Models,
    Persona,
    Profile,
    Prompts,
    Retention,
    Sampling,
    Software,
    Temporary,
    TemporaryRule,
    Texts,
    Witnesses,
)
from commun.charter.edition import Edition, InForce
from commun.charter.errors import CharterError, NoCharter

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
FAR_AWAY = datetime(2999, 1, 1, tzinfo=UTC)


def bounds(default: str, least: str, most: str) -> Bounds:
    return Bounds(Decimal(default), Decimal(least), Decimal(most))


def model(model_id: str = "default", digest: str = "0" * 64, **other: Any) -> Model:
    fields: dict[str, Any] = {
        "name": "A model",
        "family": "llama",
        "context_length": 8192,
        "format": "openvino",
        "licence": "Apache-2.0",
        "source": "folder:here",
        "training_summary": "",
        "files": (ModelFile("openvino_model.bin", 1, "0" * 64),),
        "converted": (),
        "url": "",
        "remote_model": "",
    }
    return Model(id=model_id, digest=digest, **fields | other)


CHARTER = Charter(
    name="Test",
    purpose=Texts("To be tested.", "Être essayé."),
    mandate=Mandate(date(2998, 12, 31)),
    board=Board(1, (Member("Founder", "ed25519:" + "0" * 64),)),
    entrenched=Entrenched((), ()),
    prompts=Prompts("en", "", Texts("Rule one.", "Règle une.")),
    personas=(Persona("clown", Texts("Clown", "Clown"), Texts("Funny", "Drôle"), Texts("Be funny.", "Soyez drôle.")),),
    models=Models("default", (model(),)),
    sampling=Sampling(
        profile=Profile.EXACT,
        caller_seed=True,
        temperature=bounds("0.3", "0", "2"),
        top_p=bounds("0.95", "0.001", "1"),
        max_tokens=bounds("1024", "1", "131072"),
    ),
    context=Context("oldest-turns-first", answer_reserve=512, most_tokens=131072),
    callers=Callers(
        system_messages=True, plain_completions=True, structured_output=True, stop_strings=True, ignore_eos=True
    ),
    retention=Retention(0),
    temporary=Temporary(TemporaryRule.OFFERED),
    audit=Audit(Decimal(0)),
    disclosure=Texts("An AI.", "Une IA."),
    sources=Allowed(()),
    tools=Allowed(()),
    software=Software("0", "1000"),
    witnesses=Witnesses(""),
)


FIRST_ROOT = hashlib.sha256(b"the first root").hexdigest()


def edition(charter: Charter = CHARTER, number: int = 1, expires: datetime = FAR_AWAY) -> Edition:
    digest = hashlib.sha256(f"{number}{charter}".encode()).hexdigest()
    return Edition(number, digest, "", charter, {}, "A reason.", LONG_AGO, 1, (), expires)


def in_force(charter: Charter = CHARTER, number: int = 1, **other: Any) -> InForce:
    """``other``: fields of InForce."""
    one = edition(charter, number)
    return replace(InForce(one, one, None, None, FIRST_ROOT), **other)


class Shelf:
    """A source (``in_force.Source``) that holds what the test puts there. ``loads``: how often it was verified."""

    def __init__(self, held: InForce | CharterError) -> None:
        self.held = held
        self.version = 0
        self.loads = 0

    def put(self, held: InForce | CharterError) -> None:
        self.held = held
        self.version += 1

    def load(self, now: datetime) -> InForce:
        self.loads += 1
        if isinstance(self.held, CharterError):
            raise self.held
        return self.held

    def stamp(self) -> tuple[object, ...]:
        return (self.version,)


class Fixed(CharterInForce):
    """In force without any waiting."""

    def __init__(self, held: InForce | CharterError, *, now: Callable[[], datetime] = lambda: LONG_AGO) -> None:
        super().__init__(Shelf(held), now=now)
        self._take(held)

    def set(self, held: InForce | CharterError) -> None:
        """Tells watchers, too, whether it is new or not."""
        self._held = NoCharter()
        self._take(held)

"""What the charter costs each turn: taking the terms, granting the wishes, the prompt and the sampling by the clauses.

Beside it, for comparison, a whole turn on an engine that answers at once (stub_engine.py): the assistant's own work.
"""

import asyncio
import time

from commun.assistant.admission import Admission
from commun.assistant.bounds import check_wishes
from commun.assistant.energy import EnergyMeter
from commun.assistant.engines import Engines
from commun.assistant.in_force import CharterInForce
from commun.assistant.issuing import Issuer
from commun.assistant.prompt import language_of, persona_of, sampling_for
from commun.assistant.question import Question
from commun.assistant.turn import Assistant
from commun.charter.edition import InForce
from commun.engine.base import Message
from commun.receipts.dsse import ReceiptSigner
from commun.receipts.issue import Receipt
from commun.receipts.statement import Scheme, Seed
from stub_engine import StubEngine

SIGNER = ReceiptSigner(bytes(32))
TURNS = 500  # per figure; the clock is read once for all of them
QUESTION = Question(
    messages=(Message("user", "Hello"),), temperature=0.7, top_p=0.9, max_tokens=200, seed=1, persona="humour"
)


class Held:
    """A source (``in_force.Source``) of one edition."""

    def __init__(self, in_force: InForce) -> None:
        self._in_force = in_force

    def load(self, _now: object) -> InForce:
        return self._in_force

    def stamp(self) -> tuple[object, ...]:
        return ()


class Nowhere:
    """A ledger and a table that take nothing: receipts are issued, and what keeping them costs is receipts.py's."""

    origin = ""

    async def check_nonce(self, _nonce: bytes | None) -> None: ...

    def seed(self, _nonce: bytes | None) -> Seed:
        return Seed(Scheme.DRAWN, 1)

    def withdraw(self, _seed: Seed) -> None: ...

    def submit(self, _receipt: Receipt) -> None: ...

    async def keep(self, _receipt: Receipt) -> None: ...


def measure_turns(in_force: InForce, runs: int) -> dict[str, list[float]]:
    """Milliseconds of one turn, ``runs`` times."""
    return asyncio.run(_measure(in_force, runs))


async def _measure(in_force: InForce, runs: int) -> dict[str, list[float]]:
    held = CharterInForce(Held(in_force))
    await held.refresh()
    engine = StubEngine()
    engines = Engines(lambda _wish: engine)
    await engines.load(in_force.charter)
    nowhere = Nowhere()
    assistant = Assistant(
        charter=held,
        engines=engines,
        admission=Admission(running=1, waiting=1),
        meter=EnergyMeter(watt=1),
        issuer=Issuer(lambda: SIGNER, nowhere, nowhere),
    )
    of_the_charter, whole = [], []
    for _ in range(runs):
        start = time.perf_counter()
        for _ in range(TURNS):
            charter = assistant.terms().charter
            check_wishes(QUESTION, charter, stored=False)
            charter.system_prompt(language_of(charter, QUESTION), persona_of(charter, QUESTION))
            sampling_for(charter, QUESTION, 1000, 1)
        between = time.perf_counter()
        for _ in range(TURNS):
            async for _event in assistant.begin(QUESTION).follow():
                pass
        end = time.perf_counter()
        of_the_charter.append((between - start) * 1000 / TURNS)
        whole.append((end - between) * 1000 / TURNS)
    await assistant.close()
    return {"turn_charter_ms": of_the_charter, "turn_ms": whole}

"""How a broken bundle is made: everything in order but one thing."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import world
from commun.receipts.bundle import Bundle, Logged
from commun.receipts.errors import Reason
from commun.receipts.verification import Trust, Verdict
from golden import PINNED, Case

Made = Bundle | bytes | dict[str, Any]
SMALL_ORDER = "ed25519:" + "01" + "00" * 31
NFC, NFD = "\u00e9", "e\u0301"


@cache
def small_data() -> bytes:
    """Whole up to step 4; the later steps have nothing to look at."""
    return world.signed().bundle().data()


def small() -> dict[str, Any]:
    value: dict[str, Any] = json.loads(small_data())
    return value


def envelope(data: dict[str, Any]) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(data["envelope"])
    return value


class Broken:
    def __init__(self) -> None:
        self.cases: list[Case] = []

    def add(self, name: str, reason: Reason, about: str, made: Made, trust: Trust = PINNED) -> None:
        data = made if isinstance(made, bytes) else made.data() if isinstance(made, Bundle) else world.dumped(made)
        self.cases.append(Case(name, about, data, Verdict.REFUSED, trust, reason.value))

    def changed(self, name: str, reason: Reason, about: str, change: Callable[[dict[str, Any]], object]) -> None:
        """``change`` is done to the small bundle's JSON."""
        value = small()
        change(value)
        self.add(name, reason, about, value)

    def restated(self, name: str, reason: Reason, about: str, change: Callable[[dict[str, Any]], object]) -> None:
        """``change`` is done to the predicate, which is then signed as if it were right."""
        made = world.restated(lambda statement: change(statement["predicate"]))
        self.add(name, reason, about, replace(made, charter=None, ledger=Logged()))

    def allowed(self, name: str, reason: Reason, about: str, **fields: Any) -> None:
        """A receipt with these fields, whole."""
        self.add(name, reason, about, world.bundle(world.signed(**fields)))

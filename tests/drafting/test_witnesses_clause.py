"""The clause “witnesses” is read before it is proposed: an edition that the server would refuse is not adopted."""

from dataclasses import replace

import pytest

from charters import CHARTER
from commun.charter.clauses import Witnesses
from commun.drafting.witnesses import UnusableWitnesses, check_witnesses
from commun.ledger.keys import ED25519_COSIGNATURE, SignerKey

OTHER = SignerKey("other.example", ED25519_COSIGNATURE, bytes(range(1, 33))).verifier.text()
KEY = SignerKey("witness.example", ED25519_COSIGNATURE, bytes(range(32))).verifier.text()


def check(policy: str) -> None:
    check_witnesses(replace(CHARTER, witnesses=Witnesses(policy)))


def test_no_witness_may_be_asked_for() -> None:
    check("")


def test_a_policy_of_witnesses_with_addresses_is_usable() -> None:
    check(f"witness town {KEY} https://town.example/witness\nquorum town")
    check(f"witness town {KEY} https://town.example/witness\nwitness other {OTHER}\ngroup g any town other\nquorum g")


@pytest.mark.parametrize(
    ("policy", "line"),
    [
        ("whatever", "1"),
        (f"witness town {KEY} https://town.example/witness\nquorum hall", "2"),
        (f"witness town {KEY} https://town.example/witness", "0"),
        (f"witness town {KEY}\nquorum town", "0"),
        (f"witness town {KEY} https://town.example/w\nwitness o {OTHER}\ngroup g all town o\nquorum g", "0"),
        (f"witness town {KEY} ftp://town.example/witness\nquorum town", "0"),
        (f"witness town {KEY} https:///witness\nquorum town", "0"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_line(policy: str, line: str) -> None:
    with pytest.raises(UnusableWitnesses) as refused:
        check(policy)
    assert str(refused.value.details["line"]) == line

"""Every refusal of the ledger has a code, a place in the drawn tree and two sentences."""

import re

import pytest

from commun.errors import CommunError
from commun.ledger import errors
from commun.ledger.errors import LedgerError

TREE = re.findall(r"^ {4}[│├└─ ]*(\w+) +(ledger_\w+) +(\d{3})", errors.__doc__ or "", re.MULTILINE)
CLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, LedgerError)]
DETAILS = {"reason": "r", "line": 1, "tile": "tile/0/000", "key": "k", "signed": 1, "missing": "a"}


def test_the_tree_in_the_docstring_is_the_tree():
    assert [(kind.__name__, kind.code, str(kind.status)) for kind in CLASSES] == TREE
    assert len({kind.code for kind in CLASSES}) == len(CLASSES)


@pytest.mark.parametrize("kind", CLASSES)
def test_both_sentences_can_be_filled(kind: type[LedgerError]):
    names = set(re.findall(r"%\((\w+)\)s", kind.problem + kind.cure))
    assert names <= set(DETAILS)
    assert issubclass(kind, CommunError)
    assert kind.problem % DETAILS
    assert kind.cure % DETAILS

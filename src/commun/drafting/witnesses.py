"""The charter's clause “witnesses” before it is proposed or adopted: a policy that nobody can read would let no head of
the ledger be confirmed, and the server would refuse the edition.

- empty: no witness is asked for;
- else a C2SP tlog-policy whose quorum can be reached by the witnesses that the ledger asks: those with an address, http
  or https. Others may stand beside them.
"""

from typing import Final
from urllib.parse import urlsplit

from commun.charter.clauses import Charter
from commun.charter.errors import CharterError
from commun.errors import N_
from commun.ledger.errors import BadPolicy
from commun.ledger.policy import Policy

SCHEMES: Final = frozenset({"http", "https"})
NO_ADDRESS: Final = N_("its quorum cannot be reached by the witnesses that have an http or https address")


class UnusableWitnesses(CharterError):
    """``details``: ``line`` (0: the whole clause), ``reason``."""

    code = "charter_unusable_witnesses"
    status = 422
    problem = N_("The clause “witnesses” is no policy that can be used, line %(line)s: %(reason)s.")
    cure = N_("docs/spec/witness.md in the source code has an example; an empty policy asks for no witness.")


def check_witnesses(charter: Charter) -> None:
    """Raises UnusableWitnesses."""
    text = charter.witnesses.policy
    if not text:
        return
    try:
        policy = Policy.from_bytes(f"{text}\n".encode())  # a charter's texts have no newline at their end
    except BadPolicy as error:
        raise UnusableWitnesses(**error.details) from error
    asked = {witness.key for witness in policy.witnesses if _is_address(witness.url)}
    if not policy.standing(asked).fulfilled:
        raise UnusableWitnesses(line=0, reason=NO_ADDRESS)


def _is_address(url: bytes | None) -> bool:
    try:
        parts = urlsplit((url or b"").decode())
    except ValueError:
        return False
    return parts.scheme in SCHEMES and bool(parts.hostname)

"""The names that people sign in with: chosen by them, shown as written, told apart without regard to capitals."""

import unicodedata
from typing import Final

from commun.errors import N_, BadRequest

MAX_NAME: Final = 40
_SIGNS: Final = frozenset(" .-_@+'’")


class NameNotUsable(BadRequest):
    """``details``: ``most``."""

    code = "name_not_usable"
    problem = N_("A name has 2 to %(most)s letters, digits, spaces and the signs . - _ @ + ’.")
    cure = N_("Choose another one.")


class NameTaken(BadRequest):
    """Whoever may choose a name learns that this one is taken; signing in tells nobody."""

    code = "name_taken"
    problem = N_("Somebody else already has this name.")
    cure = N_("Choose another one.")


def read_name(typed: str) -> str:
    """The name as it is shown: composed, single spaces. Raises NameNotUsable."""
    name = unicodedata.normalize("NFC", " ".join(typed.split()))
    if not 2 <= len(name) <= MAX_NAME or not all(_is_allowed(one) for one in name) or not name[0].isalnum():  # noqa: PLR2004
        raise NameNotUsable(most=MAX_NAME)
    return name


def _is_allowed(character: str) -> bool:
    return character in _SIGNS or character.isalnum() or bool(unicodedata.combining(character))


def key_of(name: str) -> str:
    """What two names have in common that are the same to people. Of anything typed, however long."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", " ".join(name[:400].split())).casefold())

"""How far the signing of a document has come: who has signed, who still may, what is missing.

Rules:

- an amendment that changes the board counts twice: the old board's quorum and the new board's; a member of both counts
  in both. Where something entrenched changes, every guard of the old board is needed besides;
- ``needed``: the fewest signatures with which it is complete, those that are there included; so that "2 of 3" is always
  true, also where the boards overlap;
- these are figures to show. Whether it is enough, adoption asks the loader.
"""

from dataclasses import dataclass
from typing import Literal

from tuf.api.metadata import Metadata, Root

from commun.charter.edition import Signature
from commun.charter.signing import Signable, Voters


@dataclass(frozen=True, slots=True)
class BoardStatus:
    """``which``: "old" only where the board changes. ``missing``: members of it who have not signed."""

    which: Literal["old", "new"]
    signed: int
    needed: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SigningStatus:
    """``missing``: names of those who may still sign. ``entrenched``: whether every guard must sign."""

    signed: tuple[Signature, ...]
    missing: tuple[str, ...]
    needed: int
    entrenched: bool
    guards_missing: tuple[str, ...]
    complete: bool
    boards: tuple[BoardStatus, ...]


def signing_status(document: Signable, base_root: Metadata[Root] | None = None) -> SigningStatus:
    """``base_root``: of the newest edition, if known: raises OtherBoard where the document has another board."""
    if base_root is not None:
        document.check_board(base_root.signed)
    voting, assents = document.voting(), document.assents
    boards, guards = voting.boards, voting.guards
    names = {keyid: name for board in boards for keyid, name in board.names.items()}
    done = {assent.keyid for assent in assents} & set(names)
    guards_missing = [keyid for keyid in names if keyid in guards and keyid not in done] if voting.entrenched else []
    more = _fewest_more(boards, done, set(guards_missing))
    return SigningStatus(
        signed=tuple(
            Signature(names[assent.keyid], assent.keyid, assent.time, assent.keyid in guards)
            for assent in assents
            if assent.keyid in done
        ),
        missing=tuple(name for keyid, name in names.items() if keyid not in done),
        needed=len(done) + more,
        entrenched=voting.entrenched,
        guards_missing=tuple(names[keyid] for keyid in guards_missing),
        complete=more == 0,
        boards=tuple(
            BoardStatus(
                board.which,
                len(done & set(board.names)),
                board.quorum,
                tuple(name for keyid, name in board.names.items() if keyid not in done),
            )
            for board in boards
        ),
    )


def _fewest_more(boards: tuple[Voters, ...], done: set[str], guards: set[str]) -> int:
    """How many more must sign: the guards, then members of both boards before those of one."""
    sure = done | guards
    lacking = [max(0, board.quorum - len(sure & set(board.names))) for board in boards]
    in_both = set.intersection(*(set(board.names) for board in boards)) - sure
    shared = min(len(in_both), max(lacking))
    return len(guards) + shared + sum(max(0, lack - shared) for lack in lacking)

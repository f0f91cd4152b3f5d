"""A town hall's Commun with a real charter: five members, three of whom must sign; every edition proposed, signed and
adopted as people do it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from charter.boards import NAMES, signer
from commun.charter.adoption import adopt
from commun.charter.amendment import Amendment, propose, sign
from commun.charter.clauses import Member
from commun.charter.edition import InForce
from commun.charter.freezing import freeze
from commun.charter.keys import text_of_key
from commun.charter.loader import verify
from commun.charter.repository import Repository
from commun.drafting.desk import Desk
from commun.drafting.editing import with_member, with_quorum
from commun.drafting.founding import founding_files
from commun.drafting.models import default_model_clause
from commun.places import CHARTER_FOLDER, TRUST_FOLDER

FOUNDED = datetime(2026, 9, 1, 9, 30, tzinfo=UTC)
QUORUM = NAMES[:3]
Files = Mapping[str, bytes]


def key_of(name: str) -> str:
    return text_of_key(signer(name).public_key)


@dataclass
class TownHall:
    """``home``: the data folder. Each edition is adopted a week after the one before."""

    home: Path
    now: datetime = FOUNDED

    @property
    def repository(self) -> Repository:
        return Repository(self.home / CHARTER_FOLDER)

    @property
    def trust(self) -> Path:
        return self.home / TRUST_FOLDER

    def in_force(self) -> InForce:
        return verify(self.repository, self.trust, now=self.now).in_force

    def found(self, *, name: str = "Mairie de Commun", until: date = date(2035, 12, 31)) -> InForce:
        """One founder, who then invites four others: editions 1 and 2."""
        files = founding_files(
            member=Member(NAMES[0], key_of(NAMES[0])), name=name, models=(default_model_clause(),), until=until
        )
        self._adopt(propose(files, None, None, reason="Une première édition.", now=self.now), NAMES[:1])
        for other in NAMES[1:]:
            files = dict(with_member(files, Member(other, key_of(other))))
        return self.change(lambda _files: with_quorum(files, 3), reason="The board is elected.", by=NAMES)

    def propose(self, change: Callable[[Files], Files], *, reason: str) -> Amendment:
        verified = verify(self.repository, self.trust, now=self.now)
        return propose(
            change(verified.in_force.newest.files), verified.in_force, verified.root, reason=reason, now=self.now
        )

    def change(
        self, change: Callable[[Files], Files], *, reason: str = "It was time.", by: Sequence[str] = QUORUM
    ) -> InForce:
        self.now += timedelta(days=7)
        return self._adopt(self.propose(change, reason=reason), by)

    def _adopt(self, amendment: Amendment, by: Sequence[str]) -> InForce:
        for hours, name in enumerate(by):
            amendment = sign(amendment, signer(name), now=self.now + timedelta(hours=hours))
        return adopt(self.repository, self.trust, amendment, now=self.now)

    def freeze(self, *, by: str = "Dara", reason: str = "It was not what we had read.") -> InForce:
        return freeze(self.repository, self.trust, signer(by), reason=reason, now=self.now + timedelta(days=1))

    def lay_on_the_desk(self, change: Callable[[Files], Files], *, reason: str, by: Sequence[str]) -> None:
        amendment = self.propose(change, reason=reason)
        for name in by:
            amendment = sign(amendment, signer(name), now=self.now + timedelta(hours=1))
        Desk(self.home, now=lambda: self.now).keep(amendment)


def replaced(name: str, old: str, new: str) -> Callable[[Files], Files]:
    """Other words in one file."""

    def change(files: Files) -> Files:
        assert old.encode() in files[name], (name, old)
        return {**files, name: files[name].replace(old.encode(), new.encode())}

    return change


def both(*changes: Callable[[Files], Files]) -> Callable[[Files], Files]:
    def change(files: Files) -> Files:
        for one in changes:
            files = one(files)
        return files

    return change

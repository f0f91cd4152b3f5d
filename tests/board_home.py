"""A data folder whose charter has a board of several, with their keys: for tests of the pages where boards sign."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from commun.charter.amendment import Amendment, propose, sign
from commun.charter.clauses import Member
from commun.charter.keys import SoftwareKey, make_key
from commun.drafting.desk import Desk
from commun.drafting.editing import with_member, with_quorum
from commun.drafting.founding import found

PASSPHRASE = "a passphrase for the tests"
NAMES = ("Ada", "Benoît", "Chloé")
SYSTEM = "prompts/system.en.md"

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class BoardHome:
    home: Path
    keys: dict[str, SoftwareKey]
    key_file: Path

    @property
    def desk(self) -> Desk:
        return Desk(self.home)

    def propose(self, change: Callable[[Files], Files], *, reason: str = "Why.", by: Sequence[str] = ()) -> Amendment:
        """Lies on the desk, signed by some."""
        verified = self.desk.verified()
        files = change(verified.in_force.newest.files)
        amendment = propose(files, verified.in_force, verified.root, reason=reason, now=datetime.now(UTC))
        for name in by:
            amendment = sign(amendment, self.keys[name].signer, now=datetime.now(UTC))
        self.desk.keep(amendment)
        return amendment

    def adopt(self, change: Callable[[Files], Files], *, by: Sequence[str], reason: str = "Why.") -> None:
        self.desk.settle(self.propose(change, reason=reason, by=by))


def board_home(home: Path, names: Sequence[str] = NAMES, *, quorum: int = 2) -> BoardHome:
    """``names``: the first is the founder, whose key file opens with PASSPHRASE. Edition 2 is in force."""
    founded = found(home, now=datetime.now(UTC), passphrase=PASSPHRASE, board_name=names[0])
    founder = SoftwareKey.open(founded.key_file.read_bytes(), PASSPHRASE)
    made = BoardHome(home, {names[0]: founder} | {name: make_key() for name in names[1:]}, founded.key_file)

    def enlarged(files: Files) -> Files:
        for name in names[1:]:
            files = with_member(files, Member(name, made.keys[name].public_text))
        return with_quorum(files, quorum)

    if len(names) > 1:
        made.adopt(enlarged, by=names[:quorum], reason="A board of several.")
    return made


def with_system(text: str) -> Callable[[Files], Files]:
    return lambda files: {**files, SYSTEM: text.encode()}

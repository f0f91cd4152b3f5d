"""The first charter of a new Commun, and the one-step amendment of a board of one.

- the founder's key is on the disk, sealed, before the charter that names it is adopted;
- nothing that is there is written over: no charter, no key. ``anew`` puts an old charter aside, it deletes nothing;
- where this machine still trusts a charter whose published files are gone, nothing is founded either: whoever could
  delete the files could else replace the rules by a restart;
- a trust folder that holds its lock alone trusts nothing: a founding that was interrupted can be begun again;
- a board of one is said to be one, in the reason of its first edition.
"""

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from importlib.resources import files as package_files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import tomlkit
from securesystemslib.signer import Signer

from commun.charter.adoption import adopt
from commun.charter.amendment import Amendment, propose, sign, signing_status
from commun.charter.clauses import Member, Model
from commun.charter.edition import InForce
from commun.charter.errors import CharterError
from commun.charter.keys import make_key
from commun.charter.repository import LOCK, Repository
from commun.charter.source import read_charter
from commun.drafting.desk import Desk
from commun.drafting.editing import CHARTER_FILE
from commun.drafting.models import default_model_clause, model_file, model_path
from commun.errors import N_
from commun.places import CHARTER_FOLDER, KEYS_FOLDER, TRUST_FOLDER
from commun.secret_file import write_secret

TEMPLATE: Final = package_files("commun.drafting") / "template"
NAME: Final = "Commun"
FOUNDER: Final = "Founder"
KEY_FILE: Final = "founder{}.key"
MAX_NUMBER: Final = 1000  # of keys or of charters put aside on one day
REASON: Final = (
    "The first edition. One person has founded this Commun and is its whole board: whoever holds this one key can "
    "change this assistant, and everybody can see that it was changed.\n\n"
    "La première édition. Une seule personne a fondé ce Commun et forme tout son conseil\N{NO-BREAK SPACE}: qui "
    "détient cette unique clé peut modifier cet assistant, et tout le monde peut voir qu’il a été modifié."
)


class AlreadyFounded(CharterError):
    code = "already_founded"
    status = 409
    problem = N_("There is a charter here already, or this machine still trusts one whose files are gone.")
    cure = N_("Put its files back; or “commun charter init --anew” puts it aside and founds another.")


class TooManyFiles(CharterError):
    """``details``: ``name``."""

    code = "too_many_files"
    status = 409
    problem = N_("There are too many files called like “%(name)s”.")
    cure = N_("Move the old ones to another place.")


@dataclass(frozen=True, slots=True)
class Founded:
    """``key_file``: the founder's key, sealed with the passphrase. ``put_aside``: the folders of an older charter."""

    in_force: InForce
    key_file: Path
    keyid: str
    put_aside: tuple[Path, ...]


def founding_files(*, member: Member, name: str, models: Sequence[Model], until: date) -> dict[str, bytes]:
    """The first charter's folder. The first of ``models`` answers. Raises CharterMistakes (a name may be one)."""
    files = {path: data for path, data in template_files().items() if path != CHARTER_FILE}
    document = tomlkit.parse(template_files()[CHARTER_FILE].decode())
    document["name"] = name
    document["mandate"]["until"] = until
    document["board"]["members"][0].update({"name": member.name, "key": member.key})
    document["entrenched"]["guards"][0] = member.name
    document["models"]["default"] = models[0].id
    files[CHARTER_FILE] = document.as_string().encode()
    files |= {model_path(model.id): model_file(model) for model in models}
    read_charter(files)
    return files


def template_files() -> dict[str, bytes]:
    """The template's folder; its board, its date and its models are still missing."""
    return {CHARTER_FILE: (TEMPLATE / CHARTER_FILE).read_bytes(), **_in_folder(TEMPLATE / "prompts", "prompts")}


def _in_folder(folder: Traversable, name: str) -> dict[str, bytes]:
    return {f"{name}/{file.name}": file.read_bytes() for file in folder.iterdir() if file.name.endswith(".md")}


def found(
    home: Path,
    *,
    now: datetime,
    passphrase: str,
    model: Model | None = None,
    name: str = NAME,
    board_name: str = FOUNDER,
    anew: bool = False,
) -> Founded:
    """Founds a Commun with a board of one. ``model``: the one that answers, by default the embedded one; ``name``: of
    this Commun; ``board_name``: of the founder on the board; ``anew``: whether to put an older charter aside.

    Raises AlreadyFounded, WeakPassphrase, CharterMistakes.
    """
    repository, trust = Repository(home / CHARTER_FOLDER), home / TRUST_FOLDER
    exists = repository.has_charter() or (trust.is_dir() and any(path.name != LOCK for path in trust.iterdir()))
    if exists and not anew:
        raise AlreadyFounded
    key = make_key()
    sealed = key.sealed(passphrase)
    files = founding_files(
        member=Member(board_name, key.public_text),
        name=name,
        models=(model or default_model_clause(),),
        until=a_year_after(now.date()),
    )
    amendment = sign(propose(files, None, None, reason=REASON, now=now), key.signer, now=now)
    put_aside = _put_aside((repository.folder, trust), now.date()) if exists else ()
    key_file = write_key(home / KEYS_FOLDER, sealed)
    in_force = adopt(repository, trust, amendment, now=now)
    return Founded(in_force, key_file, key.keyid, put_aside)


def amend(home: Path, files: Mapping[str, bytes], *, reason: str, signer: Signer, now: datetime) -> InForce | Amendment:
    """Proposes and signs; where this one signature is enough, adopts. Else the amendment waits for the others in the
    charter's ``amendments/`` (``desk.py``).

    Raises CharterMistakes, NothingChanges, NotAMember, and whatever makes the charter in force unusable.
    """
    desk = Desk(home, now=lambda: now)
    with desk.repository.locked():
        verified = desk.verified()
        proposed = propose(files, verified.in_force, verified.root, reason=reason, now=now)
        amendment = sign(proposed, signer, now=now)
        if signing_status(amendment, verified.root).complete:
            return desk.settle(amendment)
        desk.keep(amendment)
    return amendment


def a_year_after(day: date) -> date:
    try:
        return day.replace(year=day.year + 1)
    except ValueError:  # 29 February
        return day.replace(year=day.year + 1, day=28)


def write_key(folder: Path, sealed: bytes) -> Path:
    """A sealed key under the first free name."""
    for number in range(1, MAX_NUMBER):
        path = folder / KEY_FILE.format("" if number == 1 else f"-{number}")
        with contextlib.suppress(FileExistsError):
            write_secret(path, sealed)
            return path
    raise TooManyFiles(name=KEY_FILE.format(""))


def _put_aside(folders: Sequence[Path], day: date) -> tuple[Path, ...]:
    """All under the same free number."""
    for number in range(1, MAX_NUMBER):
        places = {folder: folder.with_name(f"{folder.name}-{day.isoformat()}-{number}") for folder in folders}
        if not any(os.path.lexists(place) for place in places.values()):
            moved = {folder: place for folder, place in places.items() if os.path.lexists(folder)}
            for folder, place in moved.items():
                folder.rename(place)
            return tuple(moved.values())
    raise TooManyFiles(name=folders[0].name)

"""What an adversarial review broke: each test says what must hold, and is expected to fail until it does.

``strict``: whoever mends one takes its mark away. Nothing here is about style; each is an attack that was carried out.
"""

import hashlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata, Root

from boards import NOW, charter_files, signer
from commun.charter.adoption import adopt, published_files
from commun.charter.amendment import Amendment, Base, draft, propose, sign
from commun.charter.entrenchment import brought_by
from commun.charter.errors import MixedEditions, OtherBase, RolledBack, TooFewSignatures
from commun.charter.freezing import freeze
from commun.charter.keys import text_of_key
from commun.charter.loader import load, verify
from commun.charter.roles import edition_digest, make_root, make_targets
from commun.charter.source import read_charter
from commun.charter.words import warnings
from commun.drafting.desk import Desk
from commun.engine.manifest import FileEntry
from commun.engine.verified import VerifiedFiles
from commun.errors import CorruptModel

THREE = ("Ada", "Benoît", "Chloé")


def founded(home: Path, **charter: Any) -> Desk:
    desk = Desk(home, now=lambda: NOW)
    first = propose(charter_files(THREE, quorum=2, **charter), None, None, reason="The first rules.", now=NOW)
    adopt(desk.repository, desk.trust, signed(first, "Ada", "Benoît"), now=NOW)
    return desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A board of three with a quorum of two; Ada is the attacker."""
    return founded(tmp_path)


def signed(amendment: Amendment, *names: str) -> Amendment:
    for name in names:
        amendment = sign(amendment, signer(name), now=NOW)
    return amendment


def proposed(desk: Desk, files: dict[str, bytes]) -> Amendment:
    verified = desk.verified()
    return propose(files, verified.in_force, verified.root, reason="Why not.", now=NOW)


def lay(desk: Desk, files: dict[str, bytes]) -> None:
    """As somebody does who holds the disk."""
    for name, data in files.items():
        path = desk.repository.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def published_under(amendment: Amendment, root: Metadata[Root]) -> dict[str, bytes]:
    """What would be published, with another root in the place of its own."""
    return published_files(amendment) | {f"metadata/{root.signed.version}.root.json": root.to_bytes()}


def a_base_that_never_was(files: dict[str, bytes]) -> Base:
    """A first edition that nobody adopted, true in itself."""
    charter = read_charter(files)
    base = {"edition": 0, "digest": ""}
    targets = make_targets(charter, files, number=1, root=1, base=base, reason="The first rules.", proposed=NOW)
    digest = edition_digest(targets)
    root = make_root(charter, version=1, edition=1, digest=digest)
    return Base(1, digest, "", "The first rules.", NOW, files, charter, root)


@pytest.mark.parametrize("guards", [(), ("Benoît",)])
def test_a_base_that_never_was_cannot_win_a_signature_for_a_root(tmp_path: Path, guards: tuple[str, ...]) -> None:
    """Ada mails Benoît an amendment on a base of her own making: the same names, but two keys are hers. All that he
    sees is that the mandate grows longer; what he signs must not give her the board, guard or not.
    """
    locked = {"entrenched": ("purpose", "board.quorum") if guards else (), "guards": guards}
    desk = founded(tmp_path, **locked)
    hers = {"Ada": text_of_key(signer("X1").public_key), "Chloé": text_of_key(signer("X2").public_key)}
    never_was = a_base_that_never_was(charter_files(THREE, quorum=2, keys=hers, **locked))
    longer = charter_files(THREE, quorum=2, keys=hers, until="2028-12-31", **locked)
    mailed = draft(longer, never_was, reason="A year more.", proposed=NOW).to_bytes()
    loot = sign(Amendment.from_bytes(mailed), signer("Benoît"), now=NOW)
    assert loot.root is not None

    changed = {"purpose": "To obey Ada."} if guards else {}
    evil = charter_files(THREE, quorum=2, keys=hers, until="2028-12-31", system="Obey.", **locked, **changed)
    theirs = signed(proposed(desk, evil), "X1", "X2")
    root = loot.root
    for name in ("X1", "X2", "Ada"):
        root.sign(signer(name), append=True)
    lay(desk, published_under(theirs, root))
    with pytest.raises(MixedEditions, match="another edition"):
        load(desk.repository, desk.trust, now=NOW)

    own = theirs.root
    assert own is not None
    own.signatures.update(root.signatures)
    own.sign(signer("Ada"), append=True)
    lay(desk, published_under(theirs, own))
    with pytest.raises(TooFewSignatures):
        load(desk.repository, desk.trust, now=NOW)


def test_nothing_that_was_signed_on_a_base_that_never_was_counts_on_the_real_one(desk: Desk) -> None:
    """Published whole, as its signers signed it: the chain has another edition before it."""
    never_was = a_base_that_never_was(charter_files(THREE, quorum=2, purpose="Another past."))
    forged = draft(charter_files((*THREE, "Dara"), quorum=2), never_was, reason="Dara joins.", proposed=NOW)
    lay(desk, published_files(signed(forged, *THREE)))
    with pytest.raises(MixedEditions, match="edition before it"):
        load(desk.repository, desk.trust, now=NOW)


def test_an_outdated_amendments_root_is_not_used_for_another_edition(desk: Desk) -> None:
    """Dara was to join, the board decided otherwise; Ada and Dara then publish what no quorum of the board signed."""
    joins = signed(proposed(desk, charter_files((*THREE, "Dara"), quorum=2)), "Ada", "Benoît")
    otherwise = signed(proposed(desk, charter_files(THREE, quorum=2, system="Be kind.")), "Benoît", "Chloé")
    adopt(desk.repository, desk.trust, otherwise, now=NOW)
    evil = signed(proposed(desk, charter_files((*THREE, "Dara"), quorum=2, system="Praise the mayor.")), "Ada", "Dara")
    root = joins.root
    assert root is not None
    root.sign(signer("Dara"), append=True)
    lay(desk, published_under(evil, root))
    with pytest.raises(MixedEditions, match="another edition"):
        load(desk.repository, desk.trust, now=NOW)


def test_the_edition_that_a_root_was_signed_for_is_the_one_that_it_brings(desk: Desk) -> None:
    """Also for the first: the same board cannot be put under another first edition."""
    root = desk.verified().roots[0].signed
    newest = desk.in_force().newest
    assert brought_by(root) == {"number": 1, "digest": newest.digest}
    other = propose(charter_files(THREE, quorum=2, system="Be rude."), None, None, reason="Other.", now=NOW)
    adopted = (desk.repository.folder / "metadata/1.root.json").read_bytes()
    lay(desk, published_files(signed(other, "Ada", "Benoît")) | {"metadata/1.root.json": adopted})
    with pytest.raises(MixedEditions, match="another edition"):
        verify(desk.repository, None, now=NOW)


def test_one_member_cannot_bring_back_what_another_froze(desk: Desk) -> None:
    adopt(
        desk.repository,
        desk.trust,
        signed(proposed(desk, charter_files(THREE, quorum=2, system="It advertises.")), "Ada", "Benoît"),
        now=NOW,
    )
    freeze(desk.repository, desk.trust, signer("Chloé"), reason="It advertises.", now=NOW)
    adopt(
        desk.repository,
        desk.trust,
        signed(proposed(desk, charter_files(THREE, quorum=2, system="It does not.")), "Benoît", "Chloé"),
        now=NOW,
    )
    in_force = freeze(desk.repository, desk.trust, signer("Ada"), reason="It sold well.", now=NOW)
    assert in_force.edition.number == 1
    assert in_force.charter.prompts.system.en == "You answer briefly."
    (desk.repository.folder / "freezes/2.freeze.json").unlink()
    with pytest.raises(RolledBack):
        desk.in_force()


def test_no_file_lies_beside_a_models_own_however_many_folders_do(tmp_path: Path) -> None:
    (tmp_path / "model.xml").write_bytes(b"model")
    (tmp_path / "generation_config.json").write_bytes(b"{}")
    for number in range(10_000):
        (tmp_path / f"{number:05}").mkdir()
    entry = FileEntry("model.xml", 5, hashlib.sha256(b"model").hexdigest())
    with pytest.raises(CorruptModel):
        VerifiedFiles(tmp_path, [entry], model="m", progress=lambda *_: None)


@pytest.mark.parametrize("name", ["0123456789ab.amendment.staged", "notes.txt"])
def test_what_is_no_document_is_left_alone_on_the_desk(desk: Desk, name: str) -> None:
    """The first is what a crash while a document is written leaves behind."""
    kept = desk.keep(signed(proposed(desk, charter_files(THREE, quorum=2, system="Be kind.")), "Ada"))
    (desk.repository.folder / "amendments" / name).write_bytes(b"{")
    assert [lying.document.id for lying in desk.documents()] == [kept.document.id]


def test_a_prompt_of_one_long_word_costs_no_minutes() -> None:
    """One member's signature is enough to have it compared for whoever reads /board."""
    began = time.process_time()
    warnings("a\u0301" * 10_000)
    assert time.process_time() - began < 0.5


def test_a_root_that_was_left_over_stops_no_adoption(desk: Desk) -> None:
    """Fully signed, and its edition never published: ignored, then written over."""
    left = signed(proposed(desk, charter_files((*THREE, "Dara"), quorum=2)), "Ada", "Benoît")
    assert left.root is not None
    lay(desk, {"metadata/2.root.json": left.root.to_bytes()})
    assert load(desk.repository, desk.trust, now=NOW).edition.number == 1
    kind = signed(proposed(desk, charter_files(THREE, quorum=2, system="Be kind.")), "Ada", "Benoît")
    assert adopt(desk.repository, desk.trust, kind, now=NOW).edition.number == 2
    all_three = signed(proposed(desk, charter_files(THREE, quorum=3)), *THREE)
    assert adopt(desk.repository, desk.trust, all_three, now=NOW).edition.root_version == 2


def test_a_forged_base_is_refused_where_the_charter_is_known(desk: Desk) -> None:
    """The desk and adoption compare the base; only a signature that was given away offline is lost (above)."""
    amendment = signed(proposed(desk, charter_files(THREE, quorum=2, system="Be kind.")), "Ada", "Benoît")
    assert amendment.base is not None
    forged = draft(
        amendment.files, replace(amendment.base, digest="0" * 64), reason=amendment.reason, proposed=amendment.proposed
    )
    with pytest.raises(OtherBase):
        adopt(desk.repository, desk.trust, signed(forged, "Ada", "Benoît"), now=NOW)

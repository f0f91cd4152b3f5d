"""Charters on the disk, really signed and adopted, whose founder's key the test holds: no passphrase, so no time."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from commun.charter.adoption import adopt
from commun.charter.amendment import propose, sign
from commun.charter.clauses import Member, Model
from commun.charter.edition import InForce
from commun.charter.keys import SoftwareKey, make_key
from commun.charter.loader import load
from commun.charter.repository import Repository
from commun.drafting.founding import a_year_after, amend, founding_files
from commun.drafting.models import default_model_clause
from commun.places import CHARTER_FOLDER, TRUST_FOLDER

CHARTER_FILE = "charter.toml"
NOTHING: Mapping[str, str] = {}
SHORT_ANSWERS = {"\ndefault = 1024": "\ndefault = 48"}  # tokens; for whoever wants an answer, and not a long one
NO_FILES: Mapping[str, bytes] = {}


def changed(files: Mapping[str, bytes], changes: Mapping[str, str]) -> dict[str, bytes]:
    """``changes``: each text in charter.toml that is replaced, by what. It must be there."""
    text = files[CHARTER_FILE].decode()
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return {**files, CHARTER_FILE: text.encode()}


def found_for_tests(home: Path, changes: Mapping[str, str] = NOTHING, *, model: Model | None = None) -> SoftwareKey:
    """The founding charter with ``changes``."""
    key = make_key()
    now = datetime.now(UTC)
    member = Member("Founder", key.public_text)
    models = (model or default_model_clause(),)
    files = founding_files(member=member, name="Commun", models=models, until=a_year_after(now.date()))
    document = propose(changed(files, changes), None, None, reason="For a test.", now=now)
    adopt(Repository(home / CHARTER_FOLDER), home / TRUST_FOLDER, sign(document, key.signer, now=now), now=now)
    return key


def amend_for_tests(
    home: Path, key: SoftwareKey, changes: Mapping[str, str], files: Mapping[str, bytes] = NO_FILES
) -> InForce:
    """A new edition with ``changes``; ``files`` are added."""
    now = datetime.now(UTC)
    base = load(Repository(home / CHARTER_FOLDER), home / TRUST_FOLDER, now=now)
    after = amend(home, changed({**base.edition.files, **files}, changes), reason="Why.", signer=key.signer, now=now)
    assert isinstance(after, InForce)
    return after

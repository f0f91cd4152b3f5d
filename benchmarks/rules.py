"""Charters for the benchmarks: what used to be a setting (profile, model) is a clause, adopted by a board of one."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from commun.charter.adoption import adopt
from commun.charter.amendment import propose, sign
from commun.charter.clauses import Member, Model
from commun.charter.keys import make_key
from commun.charter.loader import load
from commun.charter.repository import Repository
from commun.drafting.founding import a_year_after, founding_files
from commun.drafting.models import default_model_clause
from commun.places import CHARTER_FOLDER, TRUST_FOLDER

EXACT = b'profile = "exact"'


def found(home: Path, *, profile: str = "exact", model: Model | None = None) -> None:
    """The founding charter with this profile and model, in the place of any other."""
    for folder in (CHARTER_FOLDER, TRUST_FOLDER):
        shutil.rmtree(home / folder, ignore_errors=True)
    key, now = make_key(), datetime.now(UTC)
    files = founding_files(
        member=Member("Founder", key.public_text),
        name="Commun",
        models=(model or default_model_clause(),),
        until=a_year_after(now.date()),
    )
    assert EXACT in files["charter.toml"]
    files["charter.toml"] = files["charter.toml"].replace(EXACT, f'profile = "{profile}"'.encode())
    amendment = sign(propose(files, None, None, reason="A benchmark.", now=now), key.signer, now=now)
    adopt(Repository(home / CHARTER_FOLDER), home / TRUST_FOLDER, amendment, now=now)


def set_profile(home: Path, profile: str) -> None:
    """Founds only where it must: a first start with the exact profile founds its own charter, as its user's does."""
    repository = Repository(home / CHARTER_FOLDER)
    now_set = "exact"
    if repository.has_charter():
        now_set = load(repository, home / TRUST_FOLDER, now=datetime.now(UTC)).charter.sampling.profile
    if now_set != profile:
        found(home, profile=profile)


def stub_model(url: str) -> Model:
    """stub.py behind ``url``."""
    return Model(
        id="stub",
        name="Stub",
        family="unknown",
        context_length=8192,
        format="remote",
        licence="none",
        source=url,
        training_summary="",
        digest="",
        files=(),
        converted=(),
        url=url,
        remote_model="stub",
    )

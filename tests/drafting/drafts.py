"""The founding folder of a made-up founder, and what a change did to its lines."""

import difflib
from collections.abc import Mapping
from datetime import date

from commun.charter.clauses import Member
from commun.charter.keys import make_key
from commun.drafting.founding import founding_files
from commun.drafting.models import default_model_clause

FOUNDER = Member("Ada", make_key().public_text)
UNTIL = date(2027, 11, 22)


def somebody(name: str) -> Member:
    return Member(name, make_key().public_text)


def founding() -> dict[str, bytes]:
    return founding_files(member=FOUNDER, name="Commun", models=[default_model_clause()], until=UNTIL)


def changed_lines(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[str]:
    """Lines that were taken out ("-…") and put in ("+…") in charter.toml, empty ones left out."""
    old, new = (files["charter.toml"].decode().splitlines() for files in (before, after))
    lines = [line for line in difflib.unified_diff(old, new, n=0, lineterm="") if line[:2] not in ("--", "++", "@@")]
    return [line for line in lines if line[1:].strip()]

"""The licence of each package that is installed from the locks, by its own metadata: one that nobody allowed fails.

    python tools/licences.py          part of `make check`; needs no network

Says nothing of known vulnerabilities: that needs a service that knows them (``vulnerabilities.py``).
"""

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-model.lock")
# SPDX names. Permissive ones, and MPL-2.0, which asks for nothing but its own files' source. No GPL, LGPL or AGPL:
# whoever installs Commun may do with it what Apache-2.0 allows.
ALLOWED = frozenset(
    {
        "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CNRI-Python", "ISC", "MIT", "MIT-0",
        "MPL-2.0", "PSF-2.0", "Public-Domain", "Zlib",
    }
)  # fmt: skip
# What older metadata says instead, word for word.
KNOWN = {
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD 2-Clause License": "BSD-2-Clause",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "OSI Approved :: Apache Software License": "Apache-2.0",
    "PSFL": "PSF-2.0",
    "Public Domain": "Public-Domain",
}
# Whose metadata holds the licence's whole text, or nothing: read by a person from the licence file.
READ = {"tiktoken": "MIT"}
_NAME = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==[^\s;\\]+\s*(;)?", re.MULTILINE)
_TOKEN = re.compile(r"\(|\)|[^\s()]+")


def locked() -> dict[str, bool]:
    """Each name in a lock, and whether it is for some machines only."""
    found: dict[str, bool] = {}
    for lock in LOCKS:
        for name, marker in _NAME.findall((ROOT / lock).read_text()):
            found[name] = found.get(name, True) and bool(marker)
    return found


def said_by(package: Distribution) -> str:
    """An SPDX expression; what several classifiers name must all be allowed. "" where nothing is said."""
    metadata = package.metadata
    if expression := metadata.get("License-Expression"):
        return expression
    classified = [
        each.split(" :: ")[-1] for each in metadata.get_all("Classifier", []) if each.startswith("License ::")
    ]
    named = [KNOWN[each] for each in classified if each in KNOWN]
    if named and len(named) == len(classified):
        return " AND ".join(named)
    field = (metadata.get("License") or "").strip()
    return KNOWN.get(field, field)


def is_allowed(expression: str) -> bool:
    """All parts of an AND, one of an OR."""
    tokens = _TOKEN.findall(expression)

    def alternatives() -> bool:
        result = together()
        while tokens and tokens[0].upper() == "OR":
            tokens.pop(0)
            result = together() or result
        return result

    def together() -> bool:
        result = one()
        while tokens and tokens[0].upper() == "AND":
            tokens.pop(0)
            result = one() and result
        return result

    def one() -> bool:
        if not tokens:
            return False
        token = tokens.pop(0)
        if token != "(":
            return token in ALLOWED
        inner = alternatives()
        return bool(tokens) and tokens.pop(0) == ")" and inner

    result = alternatives()
    return result and not tokens


def faults() -> list[str]:
    """One line for each package that is not as it should be."""
    found = []
    for name, elsewhere in sorted(locked().items()):
        try:
            said = READ.get(name) or said_by(distribution(name))
        except PackageNotFoundError:
            if not elsewhere:
                found.append(f"{name}: not installed, so its licence cannot be read")
            continue
        if not is_allowed(said):
            found.append(f"{name}: {said[:80] or 'says no licence'}")
    return found


def main() -> int:
    problems = faults()
    print("\n".join(problems) or f"{len(locked())} packages, all under licences that are allowed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

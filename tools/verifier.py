"""Builds ``commun-verify``: the verifier of receipts as one file, for people who have no Commun.

    python tools/verifier.py [dist/commun-verify]

A zipapp: Python's sources in a zip file that Python runs. Inside are the modules of ``commun`` that
``commun.receipts.command`` imports, found by their import statements, the French catalogue, and a ``__main__``. It
needs Python 3.11 and, of others, ``cryptography``, ``rfc8785`` and ``tuf`` (and what they need):

    python commun-verify answer.bundle.json --charter DIGEST

The same sources make the same bytes: no times, names in order. Sources only, so that what runs is what can be read.
"""

import ast
import sys
import zipfile
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src"
START = "commun.receipts.command"
ALSO = ("commun.environment",)
CATALOGUE = "commun/web/locale/fr/LC_MESSAGES/commun.mo"
TIME = (1980, 1, 1, 0, 0, 0)
SHEBANG = b"#!/usr/bin/env python3\n"
MODE = 0o755
MAIN = '''"""commun-verify: verifies the receipt of an answer, offline. Read docs/spec/receipt.md for what it does."""

import gettext
import io
import pkgutil
import sys

from commun.environment import cli_language
from commun.receipts.command import main


def translator():
    if cli_language() == "en":
        return str
    data = pkgutil.get_data("commun", "web/locale/fr/LC_MESSAGES/commun.mo")
    return gettext.GNUTranslations(io.BytesIO(data)).gettext


sys.exit(main(sys.argv[1:], translator()))
'''


def path_of(module: str) -> Path | None:
    path = SOURCE / module.replace(".", "/")
    return next((one for one in (path.with_suffix(".py"), path / "__init__.py") if one.is_file()), None)


def imported(path: Path) -> set[str]:
    """Every name of ours that the file imports, wherever in it; those for type checkers alone are left out."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            waiting.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        waiting.extend(ast.iter_child_nodes(node))
    return {name for name in found if name.split(".")[0] == "commun"}


def sources() -> dict[str, Path]:
    """By name in the file."""
    found: dict[str, Path] = {}
    waiting = [START, *ALSO]
    while waiting:
        module = waiting.pop()
        path = path_of(module)
        name = "" if path is None else path.relative_to(SOURCE).as_posix()
        if path is None or name in found:
            continue
        found[name] = path
        waiting.extend(imported(path))
        waiting.extend(module.rsplit(".", at)[0] for at in range(1, module.count(".") + 1))
    return found


def build(target: Path) -> list[str]:
    """The names inside."""
    files = {name: path.read_bytes() for name, path in sources().items()}
    files |= {CATALOGUE: (SOURCE / CATALOGUE).read_bytes(), "__main__.py": MAIN.encode()}
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        file.write(SHEBANG)
        with zipfile.ZipFile(file, "w") as archive:
            for name in sorted(files):
                archive.writestr(zipfile.ZipInfo(name, TIME), files[name], zipfile.ZIP_DEFLATED)
    target.chmod(MODE)
    return sorted(files)


if __name__ == "__main__":
    where = Path(sys.argv[1] if len(sys.argv) > 1 else "dist/commun-verify")
    names = build(where)
    print(f"{where}: {len(names)} files, {where.stat().st_size} bytes")

"""The two catalogues: sentences out of the sources into ``.po`` files, and from there into ``.mo`` files.

    python tools/catalogues.py            extracts, updates both .po, compiles both .mo, names what is untranslated
    python tools/catalogues.py --check    changes nothing; fails when a sentence is missing, untranslated, fuzzy or no
                                          longer used in either language, when a translation loses a %(place)s, or when
                                          a .mo is not what its .po compiles to

English translates to itself: its catalogue is filled here. Only French is written by hand, in the .po file.
"""

import argparse
import ast
import io
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from commun.config import Settings
from commun.store.visible import sentences as sentences_of_tables

SOURCES = Path(__file__).parent.parent / "src/commun"
LOCALE = SOURCES / "web/locale"
LANGUAGES = ("en", "fr")
METHODS = [("**.py", "python"), ("**.html", "jinja2")]
OPTIONS = {"**.html": {"newstyle_gettext": "true", "trimmed": "true"}}
KEYWORDS = {"_": None, "N_": None, "gettext": None, "translate": None}
REASONED = {"reason"}  # keyword arguments of errors whose phrases are told in the reader's language (errors.py)
REASONS = {"NotStrict"}  # exceptions whose one argument becomes such a reason
ENGLISH_ONLY = "api"  # programs read these, and they speak of the API's own names
PLACE = re.compile(r"%\(\w+\)s")
FIXED = datetime(2026, 1, 1, tzinfo=UTC)  # a date of today would change the files without a change


def sentences() -> dict[str, set[str]]:
    """Every message id in the sources, with the files it stands in."""
    found: dict[str, set[str]] = {}
    for name, _line, message, _comments, _context in extract_from_dir(SOURCES, METHODS, OPTIONS, keywords=KEYWORDS):
        if isinstance(message, str) and message:
            found.setdefault(message, set()).add(name.replace("\\", "/"))
    for path in sorted(SOURCES.rglob("*.py")):
        name = path.relative_to(SOURCES).as_posix()
        if not name.startswith(ENGLISH_ONLY):
            for reason in reasons(ast.parse(path.read_text(encoding="utf-8"))):
                found.setdefault(reason, set()).add(name)
    for setting in Settings.model_fields.values():  # `commun config show` tells what each one means
        found.setdefault(str(setting.description), set()).add("config.py")
    for comment in sentences_of_tables():  # /what-we-can-see tells what each column reveals
        found.setdefault(comment, set()).add("store/schema")
    return found


def reasons(module: ast.Module) -> list[str]:
    """The phrases that errors of this module give as their reason."""
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            named = [keyword.value for keyword in node.keywords if keyword.arg in REASONED]
            named += node.args[:1] if isinstance(node.func, ast.Name) and node.func.id in REASONS else []
            found += [
                value.value for value in named if isinstance(value, ast.Constant) and isinstance(value.value, str)
            ]
    return [reason for reason in found if reason]


def po_path(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES/commun.po"


def stored(language: str) -> Catalog:
    path = po_path(language)
    if not path.exists():
        return Catalog(locale=language)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def updated(language: str, found: dict[str, set[str]]) -> Catalog:
    """The catalogue that the sources need, with the translations that there are."""
    old = stored(language)
    made = Catalog(
        locale=language, project="Commun", version="0.1", copyright_holder="The Commun maintainers",
        msgid_bugs_address="-", creation_date=FIXED, revision_date=FIXED,
        last_translator="-", language_team=language,
        header_comment="# Commun. Made by tools/catalogues.py.", fuzzy=False,
    )  # fmt: skip
    for message in sorted(found, key=lambda each: (min(found[each]), each)):
        known = old.get(message)
        text = message if language == "en" else str(known.string) if known else ""
        flags = set(known.flags) & {"fuzzy"} if known and language != "en" else set()
        places = [(name, None) for name in sorted(found[message])]
        made.add(message, string=text, locations=places, flags=flags)
    return made


def po_bytes(catalog: Catalog) -> bytes:
    out = io.BytesIO()
    write_po(out, catalog, width=110, include_lineno=False, ignore_obsolete=True)
    return out.getvalue()


def mo_bytes(catalog: Catalog) -> bytes:
    out = io.BytesIO()
    write_mo(out, catalog)
    return out.getvalue()


def faults(language: str, catalog: Catalog) -> list[str]:
    """What a reader of this language would miss."""
    found = []
    for message in catalog:
        if not message.id:
            continue
        if not message.string:
            found.append(f"{language}: not translated: {message.id!r}")
        elif message.fuzzy:
            found.append(f"{language}: fuzzy: {message.id!r}")
        elif sorted(PLACE.findall(message.id)) != sorted(PLACE.findall(str(message.string))):
            found.append(f"{language}: other %(places)s than the original: {message.id!r}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail when something is missing or stale")
    check = parser.parse_args().check
    found = sentences()
    problems: list[str] = []
    for language in LANGUAGES:
        catalog = updated(language, found)
        problems += faults(language, catalog)
        path = po_path(language)
        files = {path: po_bytes(catalog), path.with_suffix(".mo"): mo_bytes(catalog)}
        for file, content in files.items():
            if check and (not file.exists() or file.read_bytes() != content):
                problems.append(f"{language}: {file.name} is stale: run `make catalogues`")
            elif not check:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
    print("\n".join(problems) or f"{len(found)} sentences, all in {' and '.join(LANGUAGES)}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

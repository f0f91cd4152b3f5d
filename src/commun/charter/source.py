"""The folder that people write, as a charter: read whole, every mistake named at once (docs/spec/charter.md).

The folder holds ``charter.toml``, ``prompts/system.<language>.md``, ``prompts/<persona>.<language>.md`` and
``models/<id>.toml``, in both languages. Rules:

- bounds first: names, number and size of the files are checked before anything is read, and no more is read than
  they allow; no link is followed, no folder entered that a charter does not have. What begins with a dot, and what
  editors and file managers leave behind, is passed over: it is no part of the charter;
- the charter's values do not depend on how the files are written: remarks, order of keys, space around texts, line
  ends, ``0.70`` or ``0.7``, and the order of lists of names change no clause (an edition's digest covers the bytes,
  entrenchment the values);
- every mistake is found in one go: a file, a line, a problem and its cure; only where all hold is there a Charter;
- whatever the bytes: CharterMistakes, and nothing else, is raised.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any, Final

from commun.charter import source_mistakes as faults
from commun.charter.clauses import (
    LANGUAGES,
    Allowed,
    Audit,
    Board,
    Bounds,
    Callers,
    Charter,
    Context,
    Entrenched,
    Mandate,
    Member,
    Model,
    Models,
    Persona,
    Profile,
    Prompts,
    Retention,
    Sampling,
    Software,
    Temporary,
    TemporaryRule,
    Texts,
    Witnesses,
)
from commun.charter.source_mistakes import Mistakes
from commun.charter.source_model import read_model
from commun.charter.source_rules import SYSTEM, check_rules
from commun.charter.source_schema import CHARTER, MODEL_ID, PERSONA_ID
from commun.charter.source_text import read_text
from commun.charter.source_values import Document, read_document

CHARTER_FILE: Final = "charter.toml"
PROMPTS: Final = "prompts"
MODELS: Final = "models"
MAX_FILES: Final = 256
MAX_FILE_BYTES: Final = 256 << 10
MAX_TOTAL_BYTES: Final = 4 << 20
MAX_ENTRIES: Final = 4_096  # of one folder, what is passed over included
MAX_NAME: Final = 128
NO_AUDITS: Final = {"sample_rate": Decimal(0)}  # what a charter without the clause says

_PROMPT_FILE: Final = re.compile(rf"{PROMPTS}/(?P<id>{PERSONA_ID})\.(?P<language>{'|'.join(LANGUAGES)})\.md")
_MODEL_FILE: Final = re.compile(rf"{MODELS}/(?P<id>{MODEL_ID})\.toml")
_PASSED_OVER: Final = re.compile(r"\..*|.*~|.*\.swp|#.*#|Thumbs\.db|desktop\.ini", re.DOTALL)
# A pipe put there must not make us wait; where the system can, opening follows no link.
_OPEN_FLAGS: Final = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))


def is_charter_file(name: str) -> bool:
    """Whether a charter may have a file of this name, with slashes, from its folder on."""
    if len(name) > MAX_NAME:
        return False
    return name == CHARTER_FILE or any(form.fullmatch(name) for form in (_PROMPT_FILE, _MODEL_FILE))


def read_folder(folder: Path) -> dict[str, bytes]:
    """The charter's files by relative name. Raises CharterMistakes for what does not belong there, and then names the
    mistakes inside the other files with it.
    """
    mistakes = Mistakes()
    if not folder.is_dir():
        mistakes.add(".", 0, faults.NO_FOLDER)
        mistakes.check()
    files: dict[str, bytes] = {}
    total = 0
    for name in _names(folder, mistakes):
        if len(files) == MAX_FILES:
            mistakes.add(".", 0, faults.TOO_MANY_FILES, most=MAX_FILES)
            break
        data = _read_file(folder / name, name, mistakes)
        total += len(data or b"")
        if total > MAX_TOTAL_BYTES:
            mistakes.add(".", 0, faults.FOLDER_TOO_LARGE, most=MAX_TOTAL_BYTES)
            break
        if data is not None:
            files[name] = data
    if mistakes:
        _read(files, mistakes)
        mistakes.check()
    return files


def read_charter(files: Mapping[str, bytes]) -> Charter:
    """``files``: by relative name with slashes, as ``read_folder`` gives them. Raises CharterMistakes."""
    mistakes = Mistakes()
    if len(files) > MAX_FILES:
        mistakes.add(".", 0, faults.TOO_MANY_FILES, most=MAX_FILES)
    if sum(len(data) for data in files.values()) > MAX_TOTAL_BYTES:
        mistakes.add(".", 0, faults.FOLDER_TOO_LARGE, most=MAX_TOTAL_BYTES)
    mistakes.check()
    right: dict[str, bytes] = {}
    for name, data in files.items():
        if not is_charter_file(name):
            mistakes.add(name, 0, faults.UNKNOWN_FILE)
        elif len(data) > MAX_FILE_BYTES:
            mistakes.add(name, 0, faults.FILE_TOO_LARGE, most=MAX_FILE_BYTES)
        else:
            right[name] = data
    charter = _read(right, mistakes)
    mistakes.check()
    assert charter is not None  # noqa: S101  (without a mistake there is one; mypy cannot know)
    return charter


# The folder


def _names(folder: Path, mistakes: Mistakes) -> Iterator[str]:
    """Every file that may be read, in order; what else there is becomes a mistake."""
    for entry in _entries(folder, "", mistakes):
        if entry.name not in (PROMPTS, MODELS) or entry.is_symlink() or not entry.is_dir(follow_symlinks=False):
            if _is_readable(entry, entry.name, mistakes):
                yield entry.name
            continue
        for inner in _entries(Path(entry.path), f"{entry.name}/", mistakes):
            name = f"{entry.name}/{inner.name}"
            if _is_readable(inner, name, mistakes):
                yield name


def _entries(folder: Path, prefix: str, mistakes: Mistakes) -> list[os.DirEntry[str]]:
    found: list[os.DirEntry[str]] = []
    try:
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                if number == MAX_ENTRIES:
                    mistakes.add(prefix or ".", 0, faults.TOO_MANY_FILES, most=MAX_FILES)
                    break
                if not _PASSED_OVER.fullmatch(entry.name):
                    found.append(entry)
    except OSError:
        mistakes.add(prefix or ".", 0, faults.UNREADABLE)
    return sorted(found, key=lambda entry: entry.name)


def _is_readable(entry: os.DirEntry[str], name: str, mistakes: Mistakes) -> bool:
    if entry.is_symlink():
        fault = faults.IS_LINK
    elif entry.is_dir(follow_symlinks=False):
        fault = faults.IS_FOLDER
    elif not entry.is_file(follow_symlinks=False):
        fault = faults.NOT_A_FILE
    elif not is_charter_file(name):
        fault = faults.UNKNOWN_FILE
    else:
        return True
    mistakes.add(os.fsencode(name).decode(errors="replace"), 0, fault)
    return False


def _read_file(path: Path, name: str, mistakes: Mistakes) -> bytes | None:
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
        with open(descriptor, "rb") as file:  # noqa: PTH123  (a descriptor, opened without following links)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                mistakes.add(name, 0, faults.NOT_A_FILE)
                return None
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError:
        mistakes.add(name, 0, faults.UNREADABLE)
        return None
    if len(data) > MAX_FILE_BYTES:
        mistakes.add(name, 0, faults.FILE_TOO_LARGE, most=MAX_FILE_BYTES)
        return None
    return data


# The charter


def _read(files: Mapping[str, bytes], mistakes: Mistakes) -> Charter | None:
    """None where anything is wrong."""
    texts = {name: read_text(name, data, mistakes) for name, data in sorted(files.items())}
    models = [read_model(name, text, mistakes) for name, text in texts.items() if _MODEL_FILE.fullmatch(name)]
    if CHARTER_FILE not in files:
        if not mistakes.has(CHARTER_FILE, 0):  # it is there, but could not be read
            mistakes.add(CHARTER_FILE, 0, faults.NO_CHARTER_FILE)
        return None
    document = read_document(CHARTER_FILE, texts[CHARTER_FILE], CHARTER, mistakes)
    if document is None:
        return None
    check_rules(document, models=[PurePosixPath(name).stem for name in texts if _MODEL_FILE.fullmatch(name)])
    _check_prompts(document, texts)
    if mistakes:
        return None
    return _charter(document.values, texts, tuple(model for model in models if model is not None))


def _check_prompts(document: Document, texts: Mapping[str, str]) -> None:
    mistakes = document.mistakes
    ids = {persona["id"] for persona in document.find("personas") or () if "id" in persona} | {SYSTEM}
    for prompt_id in ids:
        for language in LANGUAGES:
            name = _prompt_name(prompt_id, language)
            if name not in texts and not mistakes.has(name, 0):
                mistakes.add(name, 0, faults.NO_PROMPT)
            elif name in texts and not texts[name].strip():
                mistakes.add(name, 0, faults.EMPTY_PROMPT)
    for name in texts:
        found = _PROMPT_FILE.fullmatch(name)
        if found and found["id"] not in ids:
            mistakes.add(name, 0, faults.NO_PERSONA_OF_FILE, value=found["id"])


def _prompt_name(prompt_id: str, language: str) -> str:
    return f"{PROMPTS}/{prompt_id}.{language}.md"


def _charter(values: dict[str, Any], texts: Mapping[str, str], models: tuple[Model, ...]) -> Charter:
    """Every part is there and right. Lists whose order says nothing are put in order."""

    def prompt(prompt_id: str) -> Texts:
        return Texts(**{language: texts[_prompt_name(prompt_id, language)].strip() for language in LANGUAGES})

    sampling = values["sampling"]
    return Charter(
        name=values["name"],
        purpose=Texts(**values["purpose"]),
        mandate=Mandate(**values["mandate"]),
        board=Board(values["board"]["quorum"], tuple(Member(**member) for member in values["board"]["members"])),
        entrenched=Entrenched(**{name: tuple(sorted(entries)) for name, entries in values["entrenched"].items()}),
        prompts=Prompts(**values["prompts"], system=prompt(SYSTEM)),
        personas=tuple(
            Persona(item["id"], Texts(**item["name"]), Texts(**item["about"]), prompt(item["id"]))
            for item in values.get("personas", ())
        ),
        models=Models(values["models"]["default"], models),
        sampling=Sampling(
            profile=Profile(sampling["profile"]),
            caller_seed=sampling["caller_seed"],
            temperature=Bounds(**sampling["temperature"]),
            top_p=Bounds(**sampling["top_p"]),
            max_tokens=Bounds(**sampling["max_tokens"]),
        ),
        context=Context(**values["context"]),
        callers=Callers(**values["callers"]),
        retention=Retention(**values["retention"]),
        temporary=Temporary(TemporaryRule(values["temporary"]["rule"])),
        audit=Audit(**values.get("audit", NO_AUDITS)),
        disclosure=Texts(**values["disclosure"]),
        sources=Allowed(tuple(sorted(values["sources"]["allowed"]))),
        tools=Allowed(tuple(sorted(values["tools"]["allowed"]))),
        software=Software(**values["software"]),
        witnesses=Witnesses(**values["witnesses"]),
    )

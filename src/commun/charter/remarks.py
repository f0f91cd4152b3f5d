"""Files that an amendment changes without changing what they say: their remarks, their layout, the space at their ends.

``changes.py`` tells values, and a signature covers bytes. So that nobody signs a file of whose change nothing is shown,
whoever shows an amendment names these files, too. A file that comes or goes is never one of them: it is a value.

What a file says: of ``charter.toml`` everything but the prompts' texts and the models; of a prompt its text; of a
model's file that model. A file that changes a value may change remarks besides: those are not told.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from commun.charter.clauses import Charter, Texts

_NO_TEXTS: Final = Texts("", "")
_SYSTEM: Final = frozenset({"prompts/system.en.md", "prompts/system.fr.md"})


def files_changed_in_remarks(
    before: Charter, files_before: Mapping[str, bytes], after: Charter, files_after: Mapping[str, bytes]
) -> tuple[str, ...]:
    """Their names, sorted. The files are those that the charters were read from."""
    both = sorted(files_before.keys() & files_after.keys())
    changed = (name for name in both if files_before[name] != files_after[name])
    return tuple(name for name in changed if _said(before, name) == _said(after, name))


def _said(charter: Charter, name: str) -> Any:
    folder, _, file = name.partition("/")
    part, _, language = file.removesuffix(".md").rpartition(".")
    if folder == "models":
        return [model for model in charter.models.adopted if model.id == file.removesuffix(".toml")]
    if name in _SYSTEM:
        return charter.prompts.system.in_language(language)
    if folder == "prompts":
        return [persona.prompt.in_language(language) for persona in charter.personas if persona.id == part]
    return replace(
        charter,
        prompts=replace(charter.prompts, system=_NO_TEXTS),
        personas=tuple(replace(persona, prompt=_NO_TEXTS) for persona in charter.personas),
        models=replace(charter.models, adopted=()),
    )

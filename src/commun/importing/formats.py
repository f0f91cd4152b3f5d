"""Which assistant's export a conversation is of."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from commun.importing import chatgpt, open_webui, own
from commun.importing.outline import ImportedConversation, NotAConversation, Outline, shape
from commun.importing.reading import Translate


def conversation_of(value: Mapping[str, Any], translate: Translate, *, now: float) -> ImportedConversation:
    """``translate``: for what is named in the place of what is left out. Raises NotAConversation."""
    made = shape(_outline(value, translate), now=now)
    return made if made.id else replace(made, id=_name_of(made))


def _outline(value: Mapping[str, Any], translate: Translate) -> Outline:
    if own.is_own(value):
        return own.outline(value)
    if chatgpt.is_chatgpt(value):
        return chatgpt.outline(value, translate)
    if open_webui.is_open_webui(value):
        return open_webui.outline(value, translate)
    raise NotAConversation("it has none of the forms that are known")


def _name_of(made: ImportedConversation) -> str:
    """Of a conversation that has no name of its own: the same for the same contents."""
    facts = [made.source, made.title, *((one.role, one.text) for one in made.messages)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

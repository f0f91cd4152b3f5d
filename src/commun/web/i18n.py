"""English and French: which language a person reads, and the sentences in it.

The English sentence is the message id (gettext). The catalogues are compiled files in the package, made by
``tools/catalogues.py``; a sentence that a catalogue lacks stays English, and `make check` fails.
"""

import gettext
from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path
from typing import Final

from commun.errors import N_

LANGUAGES: Final = ("en", "fr")
LANGUAGE_NAMES: Final = {"en": "English", "fr": "Français"}
DOMAIN: Final = "commun"
LOCALE: Final = Path(__file__).parent / "locale"
NARROW_SPACE: Final = "\u202f"  # French groups thousands with it

MONTHS: Final = (
    N_("January"), N_("February"), N_("March"), N_("April"), N_("May"), N_("June"),
    N_("July"), N_("August"), N_("September"), N_("October"), N_("November"), N_("December"),
)  # fmt: skip


@cache
def catalogue(language: str) -> gettext.NullTranslations:
    """The compiled catalogue of one of LANGUAGES; the empty one where it has not been compiled."""
    return gettext.translation(DOMAIN, LOCALE, [language], fallback=True)


def translator(language: str) -> Callable[[str], str]:
    """The gettext function of one of LANGUAGES; English for any other."""
    return catalogue(language if language in LANGUAGES else LANGUAGES[0]).gettext


def choose_language(setting: str, accepted: str) -> str:
    """The account's ``setting`` if it names a language, else the best of an Accept-Language header, else English."""
    if setting in LANGUAGES:
        return setting
    best, best_weight = LANGUAGES[0], 0.0
    for part in accepted.split(","):
        tag, _, parameters = part.partition(";")
        language = tag.strip().lower().partition("-")[0]
        weight = _weight(parameters)
        if language in LANGUAGES and weight > best_weight:
            best, best_weight = language, weight
    return best


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def long_date(day: date, language: str) -> str:
    """22 November 2026, 1er novembre 2026."""
    first = "er" if language == "fr" and day.day == 1 else ""
    return f"{day.day}{first} {translator(language)(MONTHS[day.month - 1])} {day.year}"


def number(value: float, digits: int, language: str) -> str:
    """``value`` with ``digits`` decimals, in the language's own notation: 1,234.5 or 1 234,5."""
    text = f"{value:,.{digits}f}"
    if language == "fr":
        return text.replace(",", NARROW_SPACE).replace(".", ",")
    return text

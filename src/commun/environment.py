"""The language of the terminal, from the environment.

Apart from ``config.py`` because the command line must know it before anything heavy is imported.
"""

import os


def cli_language() -> str:
    """Language of the command line, "en" or "fr": COMMUN_LANGUAGE, then the system's locale variables."""
    for name in ("COMMUN_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "")
        if value:
            return "fr" if value.lower().startswith("fr") else "en"
    return "en"

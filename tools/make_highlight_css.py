"""Writes ``src/commun/web/static/highlight.css``: the colours of code, light and dark.

``--check`` writes nothing and fails if the file is not what this program would write. A colour that has less contrast
than WCAG AA asks for (4.5:1) against any of the grounds that code stands on is an error.
"""

import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "src/commun/web/static/highlight.css"
AA = 4.5
GROUNDS = (("#ffffff", "#f4f3ef"), ("#121212", "#2a2a2e"))  # lightest and darkest in each theme

# class: (what it is, light, dark)
COLOURS = {
    "a": ("attributes, variables", "#8a4b00", "#e5b567"),
    "b": ("built-ins", "#0b6b6b", "#6fc7c7"),
    "c": ("comments, prompts", "#656b73", "#a3a8b0"),
    "d": ("deleted", "#a3241f", "#ff9b93"),
    "e": ("escapes, regular expressions", "#9a3412", "#f0a36f"),
    "f": ("functions", "#1d4ed8", "#8fb8ff"),
    "h": ("headings", "#1d4ed8", "#8fb8ff"),
    "i": ("inserted", "#1a6b32", "#87d29b"),
    "k": ("keywords, tags", "#8b2396", "#d9a3f0"),
    "n": ("numbers, constants", "#9a3412", "#f0a36f"),
    "p": ("decorators, preprocessor", "#8a4b00", "#e5b567"),
    "s": ("strings", "#1a6b32", "#a5d6a0"),
    "t": ("types, classes, modules", "#0b6b6b", "#6fc7c7"),
}
MORE = {"c": "font-style: italic", "h": "font-weight: 600"}


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb``, by WCAG 2.1."""
    channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in channels)  # noqa: PLR2004
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio, from 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def style_sheet() -> str:
    """The file's text. Raises ValueError naming a colour with too little contrast."""
    lines = ["/* Made by tools/make_highlight_css.py: the colours of code. Every one has 4.5:1 on its grounds. */"]
    for name, (meaning, *colours) in COLOURS.items():
        for colour, grounds in zip(colours, GROUNDS, strict=True):
            worst = min(contrast(colour, ground) for ground in grounds)
            if worst < AA:
                raise ValueError(f"{meaning}: {colour} has {worst:.2f}:1")
        more = f"; {MORE[name]}" if name in MORE else ""
        lines.append(f".hl-{name} {{ color: light-dark({colours[0]}, {colours[1]}){more}; }} /* {meaning} */")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    text = style_sheet()
    if "--check" in sys.argv[1:]:
        sys.exit(0 if TARGET.read_text(encoding="utf-8") == text else f"{TARGET.name} is out of date")
    TARGET.write_text(text, encoding="utf-8")

"""The page that verifies a bundle in the browser: one HTML file, which works as well when it is saved and opened from
disk, without any network.

The modules of ``verify/`` are put together here, with no tool but this file:

- a module's first lines import, one line each: ``import { a, b as c } from "./name.js";``. What is exported is declared
  so at the beginning of its line: ``export function``, ``export async function``, ``export class``, ``export const``.
  Any other import or export is refused when the page is made, and so is a circle;
- each module becomes a function that is called once, after those that it imports, and gives what it exports. So names
  need to be unique inside a module only, and nothing of the page's is a global;
- script and style stand in the file, and its policy allows these two by their SHA-256 and nothing else: no other
  script, no request, no frame, no form; texts become HTML nowhere (Trusted Types). The page computes in a worker that
  runs this very script (``worker-src blob:``; the one policy of Trusted Types makes that address and no other, and its
  name can be used once): a worker made from a blob has the page's policy, so it can ask for nothing either. The same
  policy stands in the file itself, so that a saved copy keeps it.

Both languages are in the file; what the server chooses is which one it begins in. Nothing here depends on who asks.
"""

import base64
import hashlib
import json
import re
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from commun.web.assets import STATIC
from commun.web.i18n import LANGUAGES, translator
from commun.web.templating import environment
from commun.web.unchanged import has_already
from commun.web.verify_sentences import SENTENCES
from commun.web.visit import visit_of

MODULES: Final = Path(__file__).parent / "verify"
ENTRY: Final = "main.js"
TRUSTED: Final = "commun-verifier"  # the one policy of Trusted Types: beside.js makes its worker's address with it
STYLE: Final = "page.css"
TOKENS_END: Final = "\n/* frame */"  # app.css's colours, fonts and resets end here
_IMPORT: Final = re.compile(r'import \{ ([\w, ]+) \} from "(\.[\w./-]+)";')
_EXPORT: Final = re.compile(r"export (?=(?:(?:async )?function|class|const) (\w+))")


def script() -> str:
    """The page's modules as one classic script, which leaves nothing behind."""
    text = f'"use strict";\n{{\n{_modules(ENTRY)}}}\n'
    if "</script" in text.lower() or "<!--" in text:
        raise ValueError("the script would end its element")
    return text


def module(entry: str) -> str:
    """``entry`` and all that it imports as one module of the same exports: tests run what the page runs."""
    names = ", ".join(_exported(entry, _source(entry)))
    return f'{_modules(entry)}export const {{ {names} }} = modules["{entry}"];\n'


def _modules(entry: str) -> str:
    done: dict[str, str] = {}
    _add(entry, done, ())
    functions = (f'modules["{name}"] = (() => {{\n{text}\n}})();\n' for name, text in done.items())
    return f"const modules = Object.create(null);\n{''.join(functions)}"


def _add(name: str, done: dict[str, str], above: tuple[str, ...]) -> None:
    if name in above:
        raise ValueError(f"{name} imports itself by way of {above[-1]}")
    if name in done:
        return
    source = _source(name)
    lines = []
    for line in source.splitlines():
        found = _IMPORT.fullmatch(line)
        if found is None:
            lines.append(line)
            continue
        wanted = _resolved(name, found[2])
        _add(wanted, done, (*above, name))
        lines.append(f'const {{ {found[1].replace(" as ", ": ")} }} = modules["{wanted}"];')
    exported = _exported(name, source)
    body = "\n".join(_EXPORT.sub("", line, count=1) if line.startswith("export ") else line for line in lines)
    if re.search(r"^\s*(?:import|export)\b|\bimport\(", body, re.MULTILINE):
        raise ValueError(f"{name} imports or exports in another form than this page is made of")
    done[name] = f"{body}\nreturn {{ {', '.join(exported)} }};"


def _exported(name: str, source: str) -> list[str]:
    found = [_EXPORT.match(line) for line in source.splitlines() if line.startswith("export ")]
    if None in found:
        raise ValueError(f"{name} exports in another form than this page is made of")
    return [each[1] for each in found if each is not None]


def _source(name: str) -> str:
    return (MODULES / name).read_text(encoding="utf-8")


def _resolved(name: str, path: str) -> str:
    parts: list[str] = list(PurePosixPath(name).parent.parts)
    for part in PurePosixPath(path).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


class _Say:
    """What the template writes a sentence with: its id stays beside it, so that the page can change its language."""

    def __init__(self, language: str) -> None:
        self._translate = translator(language)

    def plain(self, sentence: str) -> str:
        if sentence not in SENTENCES:
            raise ValueError(f"not among the sentences of the page: {sentence}")
        return self._translate(sentence)

    def label(self, sentence: str) -> Markup:
        return Markup('data-say-label="{}" aria-label="{}"').format(sentence, self.plain(sentence))

    def __call__(self, sentence: str) -> Markup:
        return Markup('<span data-say="{}">{}</span>').format(sentence, self.plain(sentence))


def _style() -> str:
    tokens, end, _ = (STATIC / "app.css").read_text(encoding="utf-8").partition(TOKENS_END)
    if not end:
        raise ValueError("app.css has no part of its own for colours, fonts and resets any more")
    return f"{tokens}\n{_source(STYLE)}"


def _sentences() -> str:
    """By language. English is the id itself. No ``<`` in it: it stands inside an element."""
    catalogues = {language: {each: translator(language)(each) for each in SENTENCES} for language in LANGUAGES}
    return json.dumps(catalogues, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def policy() -> str:
    """The page's Content-Security-Policy, but for what only a header can say."""
    return (
        f"default-src 'none'; script-src {_hash(script())}; style-src {_hash(_style())}; worker-src blob:; "
        f"base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types {TRUSTED}"
    )


@cache
def html(language: str, theme: str) -> str:
    """The whole file."""
    return (
        environment(language)
        .get_template("verify.html")
        .render(
            say=_Say(language),
            theme=theme,
            policy=policy(),
            style=Markup(_style()),  # noqa: S704  (ours, and its hash is in the policy)
            script=Markup(script()),  # noqa: S704
            sentences=Markup(_sentences()),  # noqa: S704
        )
    )


async def verify(request: Request) -> Response:
    visit = await visit_of(request)
    wanted = request.query_params.get("lang", "")
    text = html(wanted if wanted in LANGUAGES else visit.language, visit.theme)
    tag = f'W/"{hashlib.sha256(text.encode()).hexdigest()[:24]}"'
    headers = {
        "Cache-Control": f"{'public' if visit.viewer is None else 'private'}, no-cache",
        "Vary": "Cookie, Accept-Language",
        "ETag": tag,
        "Content-Security-Policy": f"{policy()}; frame-ancestors 'none'",
    }
    if has_already(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(text, media_type="text/html", headers=headers)

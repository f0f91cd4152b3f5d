"""Jinja: one environment for each language, everything escaped, undefined names are errors."""

from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from commun.services import Services
from commun.web.assets import asset
from commun.web.i18n import LANGUAGE_NAMES, catalogue
from commun.web.paper import filters
from commun.web.rules import state_of
from commun.web.visit import Visit, remember_session

TEMPLATES: Final = Path(__file__).parent / "templates"


@cache
def environment(language: str) -> Environment:
    """The templates in one of LANGUAGES."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    # newstyle: `_("… %(n)s", n=…)` fills the places, and escapes what it fills them with
    made.install_gettext_translations(catalogue(language), newstyle=True)  # type: ignore[attr-defined]
    made.filters.update(filters(language))
    made.globals.update(asset=asset, icon=icon, language=language, language_names=LANGUAGE_NAMES)
    return made


def icon(name: str) -> Markup:
    """An icon of the sprite, hidden from screen readers: a label always stands beside it or on its button."""
    return Markup('<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>').format(
        asset("icons.svg"), name
    )


def part(language: str, template: str, **context: Any) -> str:
    """A piece of HTML."""
    return environment(language).get_template(template).render(**context)


def _provider_name(visit: Visit) -> str:
    """What people call the provider at which they may sign in, or "". The services are missing where a page tells that
    nothing could be begun (``problem.py``).
    """
    services: Services | None = visit.services
    return services.provider.name if services is not None and services.provider is not None else ""


def page(visit: Visit, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """A whole page. Never kept by any cache: it holds what only its reader may see."""
    html = part(
        visit.language,
        template,
        theme=visit.theme,
        sidebar_hidden=visit.hides_sidebar,
        charter_state=state_of(visit),
        guest=visit.guest,
        provider_name=_provider_name(visit),
        administers=visit.viewer is not None and visit.viewer.administers,
        **context,
    )
    headers = {"Cache-Control": "no-store", "Content-Language": visit.language, "Vary": "Cookie, Accept-Language"}
    response = HTMLResponse(html, status_code=status, headers=headers)
    if visit.viewer is not None:
        remember_session(visit.request, response, visit.token)  # each use makes the session longer
    return response

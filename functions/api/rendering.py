"""Pages: Jinja2 templates with what every page shows."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import HTMLResponse

from functions.api.auth.cookies import THEME_COOKIE, cookies, set_own_page_cookie
from functions.api.auth.visitors import visitor
from functions.api.dependencies import hub_of
from functions.api.flashes import flash_of, forget_flash
from functions.api.languages import language_of, note_language
from functions.api.markdown_text import markdown
from functions.api.translations import find, find_plural, shown, speaking, translated
from functions.api.version import VERSION
from hubless.domain.languages import NAMES

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent
STATIC = HERE / "static"
THEMES = frozenset({"light", "dark"})  # what a reader may choose instead of their system's


@lru_cache(maxsize=1)
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape  # noqa: PLC0415 pages only

    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
        finalize=shown,
    )
    made.policies["ext.i18n.trimmed"] = True
    made.install_gettext_callables(find, find_plural, newstyle=True)  # type: ignore[attr-defined] # the extension's
    made.filters["translated"] = translated
    return made


@lru_cache(maxsize=64)
def static_url(path: str) -> str:
    """Return the address of a static file, which changes with its content."""
    digest = hashlib.sha256((STATIC / path).read_bytes()).hexdigest()[:12]
    return f"/hub/static/{quote(path)}?v={digest}"


class Renderer:
    """Renders pages for the sender of one request."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def __call__(
        self, template: str, *, status_code: int = 200, headers: Mapping[str, str] | None = None, **context: Any
    ) -> HTMLResponse:
        """Return *template* rendered with *context* and what every page shows."""
        who, language = visitor(self._request), language_of(self._request)
        settings = hub_of(self._request).settings.hub
        with speaking(language):
            html = (
                _environment()
                .get_template(template)
                .render(
                    hub_name=settings.name,
                    user=who.user,
                    xsrf=who.xsrf,
                    base_url="/hub/",
                    static_url=static_url,
                    version=VERSION,
                    may_admin=who.may_admin,
                    services=who.services,
                    language=language,
                    languages={one: NAMES[one] for one in sorted(settings.offered_languages)},
                    theme=_theme(self._request),
                    flash=flash_of(self._request),
                    answers_form=self._request.method != "GET",
                    help_url=settings.help_url,
                    hub_contact=settings.contact,
                    hub_announcement=markdown(settings.announcement),
                    **context,
                )
            )
        response = HTMLResponse(html, status_code, dict(headers or {}))
        response.headers["Cache-Control"] = "no-store"
        note_language(response, language)
        forget_flash(self._request, response)
        who.renew_xsrf(response)
        if who.lacks_own_page:
            set_own_page_cookie(self._request, response)
        return response


def _theme(request: Request) -> str:
    return next((one for one in cookies(request, THEME_COOKIE) if one in THEMES), "")


async def _renderer(request: Request) -> Renderer:
    return Renderer(request)


Render = Annotated[Renderer, Depends(_renderer)]

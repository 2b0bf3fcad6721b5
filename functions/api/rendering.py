"""Pages: Jinja2 templates with what every page shows."""

import hashlib
import logging
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import Depends
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from functions.api import page_files
from functions.api.auth.cookies import PUT_AWAY_COOKIE, THEME_COOKIE, cookies, set_own_page_cookie
from functions.api.auth.visitors import Visitor, visitor
from functions.api.dependencies import hub_of
from functions.api.flashes import flash_of, forget_flash
from functions.api.languages import language_of, note_language
from functions.api.markdown_text import markdown
from functions.api.serializers import instant
from functions.api.themes import FILES, Theme, look_of, theme_of
from functions.api.translations import find, find_plural, shown, speaking, translated
from functions.api.version import VERSION
from hubless.domain import letters
from hubless.domain.announcements import MAX_PUT_AWAY, Kind
from hubless.domain.languages import NAMES
from hubless.settings.sections import HubSettings
from hubless.settings.theme import TEMPLATES, folder_files

if TYPE_CHECKING:
    from jinja2 import Environment

logger = logging.getLogger(__name__)
ERROR_PAGES = frozenset({"error.html", "denied.html", "login_failed.html"})
PREFIX = "templates"  # JupyterHub's: a template of a theme extends ours by `templates/page.html`
THEMES = frozenset({"light", "dark"})  # what a reader may choose instead of their system's


@lru_cache(maxsize=4)
def environment(templates: Path | None = None) -> "Environment":
    """Return what renders our templates, or first those in the folder *templates*, which may extend ours."""
    from jinja2 import (  # noqa: PLC0415 pages only
        ChoiceLoader,
        Environment,
        FileSystemLoader,
        FunctionLoader,
        PrefixLoader,
        StrictUndefined,
        select_autoescape,
    )

    own = FunctionLoader(_own_template)
    theirs = [FileSystemLoader(templates)] if templates else []
    made = Environment(
        loader=ChoiceLoader([*theirs, PrefixLoader({PREFIX: own}), own]),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
        finalize=shown,
    )
    made.policies["ext.i18n.trimmed"] = True
    made.install_gettext_callables(find, find_plural, newstyle=True)  # type: ignore[attr-defined] # the extension's
    # The extension formats every text, and most have nothing to fill in: that was half the time of a page.
    made.globals["gettext"] = made.globals["_"] = _text
    made.filters["translated"] = translated
    return made


def _own_template(name: str) -> tuple[str, str, None] | None:
    """Return the text of our template and its file, for messages; None if there is no such template."""
    file = page_files.files_in(page_files.TEMPLATES).get(name)
    return None if file is None else (page_files.content_of(file).decode(), str(file), None)


def _text(msgid: str, /, **parameters: Any) -> Markup:
    """Return the text of *msgid* in the present language, with its *parameters* escaped and filled in."""
    text = find(msgid)
    return Markup(text) % parameters if parameters else Markup(text.replace("%%", "%"))  # noqa: S704 of templates


def template_fault(templates: Path) -> str:
    """Return what is wrong with the templates in a folder, with file and line; "" if each can be compiled."""
    from jinja2 import TemplateSyntaxError  # noqa: PLC0415 pages only
    from jinja2.meta import find_referenced_templates  # noqa: PLC0415 only for this check

    made = environment(templates)
    for file in folder_files(templates, TEMPLATES):
        name = file.relative_to(templates).as_posix()
        try:
            parsed = made.parse(file.read_text(encoding="utf-8"), name)
            made.compile(parsed, name)
        except TemplateSyntaxError as error:
            return f"{file}, line {error.lineno}: {error.message}"
        except UnicodeDecodeError:
            return f"{file} is not UTF-8 text"
        known = _names_of_templates(templates)
        if missing := [one for one in find_referenced_templates(parsed) if one and one not in known]:
            return f"{file} names the template {missing[0]}, which is not there"
    return ""


def _names_of_templates(templates: Path) -> set[str]:
    own = set(page_files.files_in(page_files.TEMPLATES))
    return (
        own
        | {f"{PREFIX}/{name}" for name in own}
        | {file.relative_to(templates).as_posix() for file in templates.rglob("*") if file.is_file()}
    )


@lru_cache(maxsize=64)
def static_url(path: str) -> str:
    """Return the address of a static file, which changes with its content."""
    digest = hashlib.sha256(page_files.content_of(page_files.STATIC / path)).hexdigest()[:12]
    return f"/hub/static/{quote(path)}?v={digest}"


def load() -> None:
    """Load whatever pages need: a process calls this that lives long, and under which somebody may upgrade the hub."""
    page_files.read_all()
    environment()


class Renderer:
    """Renders pages for the sender of one request."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def __call__(
        self, template: str, *, status_code: int = 200, headers: Mapping[str, str] | None = None, **context: Any
    ) -> HTMLResponse:
        """Return *template* rendered with *context* and what every page shows."""
        who, language = visitor(self._request), language_of(self._request)
        every = hub_of(self._request).settings
        settings, theme = every.hub, theme_of(every)
        facts = {
            "hub_name": settings.name,
            "user": who.user,
            "xsrf": who.xsrf,
            "base_url": "/hub/",
            "static_url": static_url,
            "theme_url": partial(_theme_url, theme),
            "version": VERSION,
            "may_admin": who.may_admin,
            "admin_pages": who.admin_pages,
            "services": who.services,
            "language": language,
            "languages": {one: NAMES[one] for one in sorted(settings.offered_languages)},
            "theme": _theme(self._request),
            "look": look_of(every),
            "flash": flash_of(self._request),
            "answers_form": self._request.method != "GET",
            "help_url": settings.help_url,
            "hub_contact": settings.contact,
            "hub_announcement": markdown(_announcement(settings, template)),
            "hub_announcements": _announcements(self._request, who),
            "unread_messages": _unread(self._request, who),
            "hub_maintenance": _maintenance(self._request),
        }
        with speaking(language):
            html = _html(theme.templates, template, facts | context)
        response = HTMLResponse(html, status_code, dict(headers or {}))
        response.headers["Cache-Control"] = "no-store"
        note_language(response, language)
        forget_flash(self._request, response)
        who.renew_xsrf(response)
        if who.lacks_own_page:
            set_own_page_cookie(self._request, response)
        return response


def _html(templates: Path | None, template: str, facts: Mapping[str, Any]) -> str:
    """Return the page. A fault in an admin's template must not hide an error: its page comes from ours then."""
    try:
        return environment(templates).get_template(template).render(facts)
    except Exception:
        if templates is None or template not in ERROR_PAGES:
            raise
        logger.exception("the templates of %s cannot show %s, so hubless's own does", templates, template)
        return environment().get_template(template).render(facts)


def _theme_url(theme: Theme, path: str) -> str:
    """Return the address of a file in the theme's folder `static`.

    Raises:
        LookupError: naming the file that is not there.
    """
    if not (url := theme.url(f"{FILES}{path}")):
        raise LookupError(f"the folder of theme.static has no file {path}")
    return url


def _announcement(settings: HubSettings, template: str) -> str:
    """Return what the page of *template* announces: its own text, or that of all pages, as in JupyterHub."""
    own = {
        "login.html": settings.announcement_login,
        "home.html": settings.announcement_home,
        "spawn.html": settings.announcement_spawn,
        "logged_out.html": settings.announcement_logout,
    }
    return own.get(template) or settings.announcement


def _announcements(request: Request, who: Visitor) -> list[dict[str, Any]]:
    """Return what pages announce to the visitor that admins made at run time."""
    groups = None if who.user is None else who.user.groups
    shown = hub_of(request).announcements.shown_to(groups, without=put_away(request))
    return [{"id": one.id, "text": markdown(one.text), "is_warning": one.kind is Kind.WARNING} for one in shown]


def _unread(request: Request, who: Visitor) -> int:
    """Return how many messages the visitor has not read, as the user's record has it: no page reads more for it."""
    if who.user is None or not who.user.unread:
        return 0
    hub = hub_of(request)
    return len(letters.unread(who.user.unread, hub.clock.now(), hub.settings.messages.keep))


def _maintenance(request: Request) -> dict[str, Any] | None:
    found = hub_of(request).maintaining.shown()
    return None if found is None else {"text": markdown(found.text), "until": instant(found.ends_at)}


def put_away(request: Request) -> list[str]:
    """Return the ids of the announcements that the visitor has put away in this browser, at most `MAX_PUT_AWAY`."""
    sent = next(iter(cookies(request, PUT_AWAY_COOKIE)), "")
    return sent.split(".", MAX_PUT_AWAY)[:MAX_PUT_AWAY]


def _theme(request: Request) -> str:
    return next((one for one in cookies(request, THEME_COOKIE) if one in THEMES), "")


async def _renderer(request: Request) -> Renderer:
    return Renderer(request)


Render = Annotated[Renderer, Depends(_renderer)]

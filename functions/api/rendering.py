"""Pages: Jinja2 templates with what every page needs."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent
STATIC = HERE / "static"
VERSION = "6.1.1"  # of the JupyterHub API that this implements


@lru_cache(maxsize=1)
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape  # noqa: PLC0415 pages only

    return Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@lru_cache(maxsize=64)
def static_url(path: str) -> str:
    """Return the address of a static file, which changes with its content."""
    digest = hashlib.sha256((STATIC / path).read_bytes()).hexdigest()[:12]
    return f"/hub/static/{quote(path)}?v={digest}"


def page(
    request: Request, template: str, *, status_code: int = 200, headers: Mapping[str, str] | None = None, **context: Any
) -> HTMLResponse:
    """Return *template* rendered for who asks."""
    from functions.api.asking import visitor  # noqa: PLC0415 an error page must be possible while asking fails

    who = visitor(request)
    html = (
        _environment()
        .get_template(template)
        .render(
            hub_name=request.app.state.hub.settings.hub.name,
            user=who.user,
            xsrf=who.xsrf,
            base_url="/hub/",
            static_url=static_url,
            version=VERSION,
            may_admin=who.may_admin,
            services=who.services,
            **context,
        )
    )
    response = HTMLResponse(html, status_code, dict(headers or {}))
    response.headers["Cache-Control"] = "no-store"
    who.renew_xsrf(response)
    return response

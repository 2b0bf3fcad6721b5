"""What the hub knows of the visitor, as a file."""

import re
from typing import Any

import orjson
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import record
from functions.api.auth.session_opening import CONFIRM_PAGE, is_surely_there
from functions.api.auth.visitors import Person, session_of, user_of
from functions.api.json_codec import JSONResponse
from functions.api.redirects import with_next
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.store_pool import has_long_store_calls
from hubless.domain.audit import Act
from hubless.domain.translatable import gettext as _

router = page_router()
ACCOUNT = "/hub/account"
_MAX_NAME = 60  # characters of the user's name in that of the file


class _ReadableJSON(JSONResponse):
    """JSON that people can read too."""

    def render(self, content: Any) -> bytes:
        try:
            return orjson.dumps(content, option=orjson.OPT_UTC_Z | orjson.OPT_INDENT_2)
        except orjson.JSONEncodeError:  # a number of more than 64 bits, such as users may put into their options
            return to_json(content, indent=2)


@router.get("/account/data")
@has_long_store_calls
async def download(request: Request, who: Person, hub: dependencies.WholeHub, render: Render) -> Response:
    """Return the visitor's data as a file, if it is sure that they are there."""
    user, session = user_of(who), session_of(who)
    if not is_surely_there(request, hub, user, session):
        if hub.second_factors.are_offered and hub.second_factors.of(user).is_set_up:
            return RedirectResponse(with_next(CONFIRM_PAGE, ACCOUNT), 302)
        why = _("You can download your data only shortly after a login.")
        return render("log_in_again.html", again=with_next("/hub/login", ACCOUNT) + "&again=1", why=why)
    name = re.sub(r"[^A-Za-z0-9._-]", "_", user.name)[:_MAX_NAME]
    day = hub.clock.now().date().isoformat()
    headers = {
        "Content-Disposition": f'attachment; filename="account-{name}-{day}.json"',
        "Cache-Control": "no-store",
    }
    found = hub.own_data.of(user)
    record(request, Act.DATA_DOWNLOADED, user.name)
    return _ReadableJSON(found, headers=headers)

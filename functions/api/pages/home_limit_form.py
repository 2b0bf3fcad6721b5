"""The form that limits the files of a user or a group: what it shows, and what it does."""

from typing import Any, Final

from starlette.requests import Request

from functions.api.auth.acts import record
from functions.api.auth.visitors import Form
from hubless.bootstrap.hub import Hub
from hubless.domain.audit import Act
from hubless.domain.limits import size
from hubless.domain.translatable import Message
from hubless.domain.translatable import gettext as _
from hubless.domain.users import GroupSummary, User
from hubless.services.home_limiting import typed_limit, written_limit
from hubless.services.identity import Actor

SCOPE: Final = "admin:servers"


def home_limit_view(hub: Hub, who: Actor, whose: User | GroupSummary) -> dict[str, Any] | None:
    """Return what the form shows; None for who may not set limits, and where none would count."""
    limiting = hub.home_limiting
    if not limiting.can_set or not who.scopes.has_everywhere(SCOPE):
        return None
    found = limiting.standing(whose)
    return {
        "typed": written_limit(found.size) if found.is_set else "",
        "now": "" if found.size is None else size(found.size),
    }


def limit_home(hub: Hub, request: Request, whose: User | GroupSummary, form: Form) -> Message:
    """Set or remove the limit as the form says, record it, and return what to tell.

    Raises:
        InvalidRequestError: when the form has no size.
        NotFoundError: when the user or the group was removed meanwhile.
    """
    limiting, typed = hub.home_limiting, form.text("limit").strip()
    if typed:
        chosen = typed_limit(typed)
        limiting.put(whose, chosen)
        record(request, Act.HOME_LIMIT_SET, whose.name, limit=written_limit(chosen))
        return _("The limit of files counts from now on.")
    if limiting.standing(whose).is_set:
        limiting.remove(whose)
        record(request, Act.HOME_LIMIT_REMOVED, whose.name)
    return _("No limit of files is set here. The settings count.")

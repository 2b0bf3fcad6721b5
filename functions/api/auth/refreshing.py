"""When pages and the API have a provider asked again about somebody who logged in there."""

from starlette.exceptions import HTTPException

from functions.api.auth.visitors import LoginRequired
from functions.api.provider_pool import in_provider_pool
from hubless.bootstrap.hub import Hub
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.services.identity import Actor


async def require_fresh_login(hub: Hub, actor: Actor, owner: User, *, before_start: bool = False) -> None:
    """Have the login of *owner* refreshed if it is time, and let nobody pass whom the provider no longer vouches for.

    Only people who act for themselves are stopped. Whoever starts the server of somebody else neither passes nor fails
    by that person's login, and ends no session. A session that began in another way goes on: a password, a passkey or
    another provider vouched for it.

    Args:
        hub: the hub.
        actor: who sent the request.
        owner: whose page or server it is about.
        before_start: whether the owner's server is about to start.

    Raises:
        LoginRequired: when the person must log in again; the session in this browser has ended.
        HTTPException: 403, when a token acts for such a person.
    """
    if not hub.auth_refreshing.is_due(owner, before_start=before_start):
        return
    found = await in_provider_pool(hub.auth_refreshing.refresh, owner, before_start=before_start)
    is_own = actor.user is not None and actor.user.id == owner.id
    if found is None or not is_own:
        return
    if actor.session is None:
        raise HTTPException(403, _("The login of %(owner)s has expired. Log in again in a browser.", owner=owner.name))
    if actor.session.provider != found:
        return
    hub.logins.close_session(actor.session)
    raise LoginRequired

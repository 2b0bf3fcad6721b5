"""The base of the classes' tornado handlers: JupyterHub's, but with this hub's users, sessions and forms.

JupyterHub's `BaseHandler` reads cookies, the database and the proxy. The double below comes right before it in the
order of base classes. So what a class overrides in its own handlers still counts.
"""

import inspect
import logging
from typing import Any, cast

from jupyterhub import scopes
from jupyterhub.handlers import BaseHandler
from jupyterhub.utils import maybe_future
from tornado import web
from tornado.httputil import HTTPServerRequest

from hubless.adapters.authenticators.jupyterhub_plugin.doubles import HUB_PATH, NoTimer, UserDouble
from hubless.ports.authenticator import Identity
from hubless.ports.login_plugin import PluginRequest

logger = logging.getLogger(__name__)


class Conversation:
    """One request of the hub, and what its handler decided besides the response."""

    def __init__(self, request: PluginRequest) -> None:
        self.request = request
        self.identity: Identity | None = None
        self.ends_session = False


def conversation_of(request: HTTPServerRequest) -> Conversation:
    """Return the conversation to which tornado's *request* belongs."""
    return cast("Conversation", cast("Any", request.connection).conversation)


class _OfHubless:
    """What every handler has: no form of another site, cookies for the hub's pages alone, and errors with a name."""

    request: HTTPServerRequest
    settings: dict[str, Any]

    def check_xsrf_cookie(self) -> None:
        """Refuse a form that no page of this hub sent."""
        if not conversation_of(self.request).request.is_own_form:
            raise web.HTTPError(403, f"XSRF cookie does not match {self.request.method} argument")

    def set_cookie(self, name: str, value: Any, *arguments: Any, path: str = "/", **options: Any) -> None:
        """Set a cookie. Servers of users, who share the host, do not get it."""
        below = path if path.startswith(HUB_PATH) else HUB_PATH
        super().set_cookie(name, value, *arguments, path=below, **options)  # type: ignore[misc]  # tornado's handler is behind it

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        """Log what the class raised, and nothing for an answer that it meant."""
        if not isinstance(error, web.HTTPError):
            logger.error("%s failed", self.settings["plugin_name"], exc_info=(kind, error, trace))
        elif error.log_message:
            logger.warning("%s answered %d: %s", self.settings["plugin_name"], error.status_code, error.get_message())


class PlainHandler(_OfHubless, web.RequestHandler):
    """The base of handlers that are tornado's alone."""


class HubHandler(_OfHubless, BaseHandler):  # type: ignore[misc]  # JupyterHub has no types
    """The base of handlers that are JupyterHub's."""

    statsd = NoTimer()
    _xsrf_token_id = b""

    @property
    def _conversation(self) -> Conversation:
        return conversation_of(self.request)

    @property
    def xsrf_token(self) -> bytes:
        """Return the token that this hub checks."""
        return self._conversation.request.xsrf.encode()

    async def get_current_user(self) -> UserDouble | None:
        """Return who is logged in with the browser."""
        if not hasattr(self, "_jupyterhub_user"):
            visitor = self._conversation.request.visitor
            self._jupyterhub_user = self._user(visitor.name, is_admin=visitor.is_admin) if visitor else None
        return self._jupyterhub_user

    def _resolve_roles_and_scopes(self) -> None:
        visitor = self._conversation.request.visitor
        held = visitor.scopes if visitor else ()
        self.expanded_scopes = {name for name in held if name in scopes.scope_definitions}
        self.parsed_scopes = scopes.parse_scopes(self.expanded_scopes)

    def find_user(self, name: str) -> UserDouble | None:
        """Return the user of that name, if the hub has one."""
        return cast("UserDouble | None", self.users.get(name))

    def user_from_username(self, username: str) -> UserDouble:
        """Return a user of that name. The login adds it, where the hub's rules allow that."""
        return self._user(username)

    def _user(self, name: str, *, is_admin: bool = False) -> UserDouble:
        return UserDouble(name, self.settings["auth_state_of"], is_admin=is_admin)

    async def auth_to_user(self, authenticated: Any, user: UserDouble | None = None) -> UserDouble:
        """Note the identity that the class proved; the hub itself finds or adds its user."""
        facts = authenticated if isinstance(authenticated, dict) else {"name": authenticated}
        found = user or self._user(facts["name"])
        self._conversation.identity = await identity_of(self.authenticator, facts, found)
        return found

    def set_login_cookie(self, user: UserDouble) -> None:
        """Note that *user* is logged in; the hub sets the cookies."""
        visitor = self._conversation.request.visitor
        if self._conversation.identity is None and (visitor is None or visitor.name != user.name):
            self._conversation.identity = Identity(user.name)
        self._jupyterhub_user = user

    def set_hub_cookie(self, user: UserDouble) -> None:
        """Do as `set_login_cookie`."""
        self.set_login_cookie(user)

    def set_session_cookie(self) -> str:
        """Leave the session's cookie to the hub."""
        return ""

    def clear_login_cookie(self, name: str | None = None) -> None:  # noqa: ARG002 JupyterHub's signature
        """Note that the browser logs out; the hub ends the session and removes the cookies."""
        self._conversation.ends_session = True

    def get_next_url(self, user: Any = None, default: str | None = None) -> str:  # noqa: ARG002 JupyterHub's signature
        """Return where a login leads; without a `next` the hub decides."""
        return self._validate_next_url(self.get_argument("next", default="")) or default or HUB_PATH

    def static_url(self, path: str, *_arguments: Any, **_options: Any) -> str:
        """Return the address of a static file of the hub."""
        return f"{HUB_PATH}static/{path}"

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Show the error's page; where the class failed, it says which."""
        error = (kwargs.get("exc_info") or (None, None))[1]
        if error is not None and not isinstance(error, web.HTTPError):
            name = self.settings["plugin_name"]
            vars(error)["jupyterhub_message"] = f"{name} failed. The hub's log says why: ask its operator."
        try:
            super().write_error(status_code, **kwargs)
        except Exception:  # noqa: BLE001 a class's own error page may fail, as NativeAuthenticator's does
            message = error.get_message() if isinstance(error, web.HTTPError) else ""
            facts = {"status_code": status_code, "status_message": self._reason, "message": message}
            self.write(BaseHandler.render_template(self, "error.html", sync=True, **facts))


async def identity_of(authenticator: Any, facts: dict[str, Any], user: UserDouble) -> Identity:
    """Return the identity in what a class answered (`auth_to_user` of JupyterHub).

    Raises:
        ValueError: when the class manages groups and names none.
    """
    name = type(authenticator).__name__
    groups = None
    if authenticator.manage_groups:
        if "groups" not in facts:
            raise ValueError(f"manage_groups is set, but {name} names no groups of {facts['name']!r}")
        groups = None if facts["groups"] is None else tuple(facts["groups"])
    state = facts.get("auth_state") if authenticator.enable_auth_state else None
    if authenticator.enable_auth_state and authenticator.reconcile_auth_state_hook:
        before = await user.get_auth_state()
        state = await maybe_future(authenticator.reconcile_auth_state_hook(authenticator, facts, before))
    admin = facts.get("admin")
    return Identity(
        facts["name"], admin=None if admin is None else bool(admin), groups=groups, auth_state=state, provider="plugin"
    )


def adopted(handler: type) -> type:
    """Return *handler* with this hub's base right before JupyterHub's, or before tornado's."""
    base: type = HubHandler if inspect.isclass(handler) and issubclass(handler, BaseHandler) else PlainHandler
    return type(handler.__name__, (handler, base), {"__module__": handler.__module__})

"""A login plug-in: a JupyterHub authenticator class with its pages, which runs inside the hub's own process."""

from collections.abc import Mapping
from typing import Any, Protocol

from hubless.domain.values import value
from hubless.ports.authenticator import Identity


@value
class PluginVisitor:
    """Who is logged in with the browser that asks for a page of the plug-in."""

    name: str
    is_admin: bool
    scopes: tuple[str, ...]  # without those that a filter limits


@value
class PluginRequest:
    """A request for a page of the plug-in."""

    method: str
    target: str  # path and query, as they were sent
    headers: tuple[tuple[str, str], ...]
    body: bytes
    address: str  # the client's
    scheme: str  # the browser's: http or https
    host: str
    xsrf: str  # the token that forms of the answer must send
    is_own_form: bool  # whether the request carries that token
    visitor: PluginVisitor | None = None
    user_name: str = ""  # what the form has as `username`


@value
class PluginPage:
    """A page's title, as a text, and its main part, as HTML of the plug-in's templates."""

    title: str
    main: str


@value
class PluginAnswer:
    """The plug-in's answer: a page, or else *body*. With *identity* somebody has proved who they are."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    page: PluginPage | None = None
    identity: Identity | None = None
    ends_session: bool = False


class LoginPlugin(Protocol):
    """Runs a JupyterHub authenticator class. Calls wait for the class: make them in a thread of their own.

    Every call raises `LoginUnavailableError`, which names the class, when the class fails, or hangs beyond the time
    limit of the settings. Other calls then go on.
    """

    @property
    def name(self) -> str:
        """Return the name of the class."""
        ...

    def serves(self, path: str) -> bool:
        """Say whether a page of the plug-in is at *path*, which begins with `/hub/`."""
        ...

    def answer(self, request: PluginRequest) -> PluginAnswer:
        """Return what the class's own handler answers to *request*."""
        ...

    def refresh(self, user_name: str, auth_state: Mapping[str, Any] | None) -> Identity | bool:
        """Return a logged-in user's identity as it is now; True where nothing changed, False where a login is due."""
        ...

    def lets_in(self, user_name: str, auth_state: Mapping[str, Any] | None) -> bool:
        """Say whether the class's own rules let a user in, whom nothing but the hub knows to be there."""
        ...

    @property
    def refreshes_before_start(self) -> bool:
        """Say whether the class wants to refresh what it knows of a user before each start of a server."""
        ...

    def add_user(self, user_name: str) -> None:
        """Let the class prepare for a user whom the hub is about to add: it may make an account of the machine.

        Raises:
            InvalidRequestError: with the class's reason, when it does not take the user.
        """
        ...

    def delete_user(self, user_name: str) -> None:
        """Let the class forget a user who was removed."""
        ...

    def before_start(self, user_name: str, server_name: str, auth_state: Mapping[str, Any] | None) -> Mapping[str, str]:
        """Return the environment variables that the class gives to a server which is about to start."""
        ...

    def after_stop(self, user_name: str, server_name: str) -> None:
        """Let the class clean up after a server."""
        ...

    def close(self) -> None:
        """End the plug-in, with its thread and its database."""
        ...

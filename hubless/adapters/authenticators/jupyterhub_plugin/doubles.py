"""Stand-ins for JupyterHub's own objects, with what authenticator classes use of them."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

AuthStateOf = Callable[[str], Mapping[str, Any] | None]
HUB_PATH = "/hub/"


class SpawnerDouble:
    """A server that starts or has stopped. Before a start, classes put variables into its environment."""

    active = False
    pending = None

    def __init__(self, user: "UserDouble", name: str = "") -> None:
        self.user, self.name = user, name
        self.environment: dict[str, str] = {}
        self.log = logging.getLogger(__name__)


class UserDouble:
    """A user, as classes see one."""

    def __init__(self, name: str, auth_state_of: AuthStateOf, *, is_admin: bool = False) -> None:
        self.name, self.admin, self.json_escaped_name = name, is_admin, name
        self.url = f"/user/{name}/"
        self.groups: list[Any] = []
        self.spawner = SpawnerDouble(self)
        self.spawners = {"": self.spawner}
        self._auth_state_of = auth_state_of

    async def get_auth_state(self) -> dict[str, Any] | None:
        """Return the state that the class gave at the last login or refresh."""
        state = self._auth_state_of(self.name)
        return dict(state) if state is not None else None


class UsersDouble:
    """The registry of users. Classes look a name up in it; they add and remove users by logins and by the hub's API."""

    def __init__(self, is_known: Callable[[str], bool], auth_state_of: AuthStateOf) -> None:
        self._is_known, self._auth_state_of = is_known, auth_state_of

    def get(self, name: str, default: Any = None) -> Any:
        """Return the user of that name, or *default*."""
        return UserDouble(name, self._auth_state_of) if self._is_known(name) else default

    def delete(self, name: Any) -> None:
        """Refuse: the hub's API removes users, with their servers and tokens."""
        raise PermissionError(f"remove the user {getattr(name, 'name', name)!r} by the hub's admin page")


class Server:
    """The part of `hub` that knows addresses."""

    base_url = HUB_PATH
    cookie_name = "jupyterhub-hub-login"
    public_host = ""

    @property
    def server(self) -> "Server":
        """Return itself: JupyterHub's hub has a server of its own."""
        return self


class NoTimer:
    """What measures nothing, for classes that still ask for JupyterHub's statsd."""

    def timer(self, _name: str) -> "NoTimer":
        """Return itself."""
        return self

    def start(self) -> "NoTimer":
        """Return itself."""
        return self

    def stop(self, **_options: Any) -> None:
        """Do nothing."""

    def incr(self, *_arguments: Any) -> None:
        """Do nothing."""

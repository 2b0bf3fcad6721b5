"""The login plug-in: one authenticator, its handlers and its database, on an event loop of their own."""

import logging
import re
import threading
from collections.abc import Callable, Collection, Coroutine, Mapping
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, TypeVar

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader
from jupyterhub.auth import Authenticator
from jupyterhub.handlers.login import LoginHandler, LogoutHandler
from jupyterhub.utils import maybe_future
from tornado.web import Application
from traitlets.config import Config

from hubless.adapters.authenticators.jupyterhub_plugin import tornado_bridge
from hubless.adapters.authenticators.jupyterhub_plugin.database import PluginDatabase, alone
from hubless.adapters.authenticators.jupyterhub_plugin.doubles import (
    HUB_PATH,
    AuthStateOf,
    Server,
    SpawnerDouble,
    UserDouble,
    UsersDouble,
)
from hubless.adapters.authenticators.jupyterhub_plugin.handlers import adopted, identity_of
from hubless.adapters.authenticators.jupyterhub_plugin.loading import (
    PluginConfigError,
    checked,
    find_class,
    make,
    read_file,
)
from hubless.adapters.authenticators.jupyterhub_plugin.loop_thread import LoopHangsError, LoopThread
from hubless.domain.errors import HublessError, InvalidRequestError, LoginUnavailableError
from hubless.domain.values import value
from hubless.ports.authenticator import Identity
from hubless.ports.login_plugin import PluginAnswer, PluginRequest

logger = logging.getLogger(__name__)
TEMPLATES = Path(__file__).parent / "templates"
_LONGEST_REASON = 400  # characters
_MOST_LOST = 8  # threads that a class may hold up before it is not asked any more
Result = TypeVar("Result")


@value
class PluginSource:
    """What the settings say about the plug-in.

    Args:
        name: of the class, or "" where *file* names it.
        tables: configuration by section.
        file: a Python file with more of it.
        secrets: values that no error may show.
        admins: names that the hub's own settings make admins.
        keeps_state: whether the hub keeps auth_state.
        keeps_groups: whether memberships follow logins.
    """

    name: str
    tables: Mapping[str, Any]
    file: Path | None
    secrets: tuple[str, ...]
    admins: tuple[str, ...]
    keeps_state: bool = False
    keeps_groups: bool = False

    def load(self) -> tuple[type[Authenticator], Config]:
        """Return the class and its configuration.

        Raises:
            PluginConfigError: naming what is wrong.
        """
        file = read_file(self.file) if self.file else Config()
        name = self.name or file.get("JupyterHub", {}).get("authenticator_class", "")
        if not name:
            raise PluginConfigError(
                "plugin.authenticator_class is missing, and plugin.config_file sets no c.JupyterHub.authenticator_class"
            )
        cls = find_class(name) if isinstance(name, str) else name
        return cls, checked(cls, self.tables, file)


class _Running:
    """An authenticator that runs: made anew when its thread is lost."""

    def __init__(self, plugin: "JupyterHubPlugin") -> None:
        self.thread = LoopThread(plugin.limit)
        self.database: PluginDatabase | None = None
        self.authenticator: Any = None
        self.application: Any = None
        self.paths: list[re.Pattern[str]] = []
        self._plugin = plugin
        self.thread.run(self._make)

    async def _make(self) -> None:
        plugin, source = self._plugin, self._plugin.source
        with alone(plugin.database):
            self.database = PluginDatabase(plugin.database)
            self.authenticator = make(
                plugin.cls, plugin.config, admins=source.admins, database=self.database.session, hidden=source.secrets
            )
            self.database.refresh()
        self._require_hubs_part()
        self._let_known_users_in()
        self._make_application()

    def _require_hubs_part(self) -> None:
        """Refuse what the class would only half do."""
        source = self._plugin.source
        if self.authenticator.enable_auth_state and not source.keeps_state:
            raise PluginConfigError("enable_auth_state needs login.auth_state = true, so that the hub keeps the state")
        if self.authenticator.manage_groups and not source.keeps_groups:
            raise PluginConfigError("manage_groups needs login.managed_groups = true: memberships then follow logins")

    def _let_known_users_in(self) -> None:
        """Have `allow_existing_users` mean the users of the hub's store, of which other processes add some."""
        authenticator, is_known = self.authenticator, self._plugin.is_known
        configured, check = frozenset(authenticator.allowed_users), authenticator.check_allowed

        def check_allowed(username: str, authentication: Any = None) -> Any:
            if authenticator.allow_existing_users:
                names = authenticator.allowed_users
                (names.add if username in configured or is_known(username) else names.discard)(username)
            return check(username, authentication)

        authenticator.check_allowed = check_allowed

    async def close(self) -> None:
        """Close the database, in the thread that uses it."""
        assert self.database is not None  # noqa: S101 made before
        self.database.close()

    def mirror(self, typed: str) -> None:
        """Have the class's database know whether the hub has the user that somebody typed."""
        try:
            name = self.authenticator.normalize_username(typed)
        except KeyError:  # PAM's, of a name that the machine does not have
            return
        assert self.database is not None  # noqa: S101 made before
        self.database.mirror(name, self._plugin.is_known)

    def _make_application(self) -> None:
        plugin, authenticator = self._plugin, self.authenticator
        assert self.database is not None  # noqa: S101 made before
        environment, environment_sync = _environments()
        hub, users = Server(), UsersDouble(plugin.is_known, plugin.auth_state_of)
        app = SimpleNamespace(
            hub=hub,
            base_url="/",
            hub_prefix=HUB_PATH,
            config=plugin.config,
            log=logger,
            db=self.database.session,
            authenticator=authenticator,
            users=users,
        )
        given = [*authenticator.get_handlers(app), (r"/login", LoginHandler), (r"/logout", LogoutHandler)]
        routes = [_route(one) for one in given]
        self.paths = [re.compile(pattern) for pattern, *_ in routes]
        self.application = Application(
            routes,
            plugin_name=plugin.name,
            authenticator=authenticator,
            hub=hub,
            app=app,
            db=self.database.session,
            users=users,
            auth_state_of=plugin.auth_state_of,
            base_url="/",
            config=plugin.config,
            log=logger,
            login_url=f"{HUB_PATH}login",
            logout_url=authenticator.logout_url(HUB_PATH),
            jinja2_env=environment,
            jinja2_env_sync=environment_sync,
            template_vars={},
            cookie_secret=plugin.cookie_secret,
            xsrf_cookies=True,
            public_url=None,
            log_function=lambda _handler: None,
        )


class JupyterHubPlugin:
    """Runs an authenticator class of JupyterHub (`hubless.ports.login_plugin`)."""

    def __init__(
        self,
        source: PluginSource,
        *,
        database: Path,
        limit: float,
        cookie_secret: bytes,
        is_known: Callable[[str], bool],
        auth_state_of: AuthStateOf,
    ) -> None:
        """Load the class and make the authenticator.

        Args:
            source: what the settings say.
            database: the SQLite file of the class.
            limit: how many seconds one call may take.
            cookie_secret: signs cookies of the class's handlers.
            is_known: whether the hub has a user of that name.
            auth_state_of: the state of the user of that name, decrypted.

        Raises:
            PluginConfigError: naming what is wrong with the class or its configuration.
        """
        self.source, self.database, self.limit = source, database, limit
        self.cookie_secret, self.is_known, self.auth_state_of = cookie_secret, is_known, auth_state_of
        self.cls, self.config = source.load()
        self.name = self.cls.__name__
        self._lost, self._lock, self._is_closed = 0, threading.Lock(), False
        self._running = self._start()

    @property
    def refreshes_before_start(self) -> bool:
        """Say whether the class overrides `refresh_user`, and `refresh_pre_spawn` is set."""
        overrides = self.cls.refresh_user is not Authenticator.refresh_user
        return bool(overrides and self._running.authenticator.refresh_pre_spawn)

    def serves(self, path: str) -> bool:
        """Say whether one of the class's handlers is at *path*."""
        return path.startswith(HUB_PATH) and any(pattern.match(path) for pattern in self._running.paths)

    def answer(self, request: PluginRequest) -> PluginAnswer:
        """Have the class's handler answer."""

        async def ask(running: _Running) -> PluginAnswer:
            return await tornado_bridge.ask(running.application, request)

        return self._call(ask, mirrored=request.user_name)

    def refresh(self, user_name: str, auth_state: Mapping[str, Any] | None) -> Identity | bool:
        """Call `refresh_user`, as JupyterHub does once `auth_refresh_age` has passed, and before a start."""

        async def refresh(running: _Running) -> Identity | bool:
            user = UserDouble(user_name, lambda _name: auth_state)
            found = await maybe_future(running.authenticator.refresh_user(user, None))
            if not isinstance(found, dict):
                return bool(found)
            facts = {"auth_state": auth_state, **found, "name": user_name}
            return await identity_of(running.authenticator, facts, user)

        return self._call(refresh)

    def lets_in(self, user_name: str, auth_state: Mapping[str, Any] | None) -> bool:
        """Call `check_blocked_users` and `check_allowed`, with the facts of the last login.

        Never with None in place of them: that lets everybody in at many classes of OAuthenticator.
        """

        async def ask(running: _Running) -> bool:
            facts = {"name": user_name, "admin": None, "groups": None, "auth_state": auth_state}
            for rule in (running.authenticator.check_blocked_users, running.authenticator.check_allowed):
                if not await maybe_future(rule(user_name, facts)):
                    return False
            return True

        return self._call(ask)

    def add_user(self, user_name: str) -> None:
        """Call `add_user`; what it raises is the reason why nobody is added (JupyterHub answers 400 with it)."""

        async def add(running: _Running) -> str:
            try:
                await maybe_future(running.authenticator.add_user(self._user(user_name)))
            except Exception as refused:  # noqa: BLE001 the class's own
                return f"{self.name} does not take the user {user_name}: {refused}"[:_LONGEST_REASON]
            return ""

        if why := self._call(add):
            raise InvalidRequestError(why)

    def delete_user(self, user_name: str) -> None:
        """Call `delete_user`."""
        self._call(lambda running: _called(running.authenticator.delete_user, self._user(user_name)))

    def before_start(self, user_name: str, server_name: str, auth_state: Mapping[str, Any] | None) -> Mapping[str, str]:
        """Call `pre_spawn_start` and return what it put into the environment."""
        if self.cls.pre_spawn_start is Authenticator.pre_spawn_start:
            return {}
        spawner = SpawnerDouble(UserDouble(user_name, lambda _name: auth_state), server_name)

        async def start(running: _Running) -> Mapping[str, str]:
            await maybe_future(running.authenticator.pre_spawn_start(spawner.user, spawner))
            return {str(key): str(given) for key, given in spawner.environment.items()}

        return self._call(start)

    def after_stop(self, user_name: str, server_name: str) -> None:
        """Call `post_spawn_stop`."""
        if self.cls.post_spawn_stop is Authenticator.post_spawn_stop:
            return
        spawner = SpawnerDouble(self._user(user_name), server_name)
        self._call(lambda running: _called(running.authenticator.post_spawn_stop, spawner.user, spawner))

    def close(self) -> None:
        """End the event loop and close the database."""
        if self._is_closed:
            return
        self._is_closed, running = True, self._running
        if running.database is not None and not running.thread.is_lost:
            running.thread.run(running.close)
        running.thread.close()

    def _user(self, name: str) -> UserDouble:
        return UserDouble(name, self.auth_state_of)

    def _start(self) -> _Running:
        try:
            return _Running(self)
        except LoopHangsError:
            raise PluginConfigError(f"{self.name} did not start within {self.limit:g} seconds") from None

    def _call(self, make: Callable[[_Running], Coroutine[Any, Any, Result]], mirrored: str = "") -> Result:
        running = self._running_now()

        async def call() -> Result:
            assert running.database is not None  # noqa: S101 made before
            running.database.refresh()
            if mirrored:
                running.mirror(mirrored)
            try:
                return await make(running)
            finally:
                running.database.refresh()

        try:
            return running.thread.run(call)
        except LoopHangsError:
            self._refuse(f"did not answer within {self.limit:g} seconds")
        except HublessError:
            raise
        except Exception as error:
            logger.exception("%s failed", self.name)
            raise LoginUnavailableError(
                f"{self.name} failed ({type(error).__name__}). The hub's log says why: ask its operator."
            ) from error

    def _running_now(self) -> _Running:
        """Return the authenticator; a new one where the thread of the last is lost."""
        with self._lock:
            if self._running.thread.is_lost:
                if self._lost >= _MOST_LOST:
                    self._refuse(f"hangs in {_MOST_LOST} calls, and is not asked again until the hub restarts")
                self._lost += 1
                logger.error("%s holds up its thread; the hub goes on with a new one (%d)", self.name, self._lost)
                self._running = self._start()
            return self._running

    def _refuse(self, why: str) -> NoReturn:
        raise LoginUnavailableError(f"{self.name} {why}. Try again in a moment, or ask the operator of this hub.")


async def _called(hook: Callable[..., Any], *arguments: Any) -> None:
    await maybe_future(hook(*arguments))


@lru_cache(maxsize=1)
def _environments() -> tuple[Environment, Environment]:
    """Return the templates for handlers, and those for error pages, which are written without waiting.

    A process has them once: NativeAuthenticator adds its folder to them once for all.
    """
    ours = FileSystemLoader([TEMPLATES])
    loader = ChoiceLoader([ours, PrefixLoader({"templates": ours}, "/")])
    return (
        Environment(loader=loader, autoescape=True, enable_async=True),
        Environment(loader=loader, autoescape=True),
    )


def _route(given: Collection[Any]) -> tuple[Any, ...]:
    """Return a handler's route below the hub's path, as JupyterHub's `add_url_prefix` makes it."""
    pattern, handler, *more = given
    return (f"{HUB_PATH[:-1]}{pattern}$", adopted(handler), *more)

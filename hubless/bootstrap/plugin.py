"""The login plug-in of the settings: a JupyterHub authenticator class, which needs an optional extra."""

import hashlib
import hmac
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubless.settings import Settings, SettingsError

if TYPE_CHECKING:
    from hubless.adapters.authenticators.jupyterhub_plugin.plugin import PluginSource
    from hubless.bootstrap.hub import Hub
    from hubless.ports.login_plugin import LoginPlugin

MISSING = (
    "[plugin] needs JupyterHub's package, which is not installed ({name}): pip install 'hubless[authenticators]', and"
    " the package of the class"
)
DATABASE = "plugin.sqlite"


def check(settings: Settings) -> None:
    """Check that the class of `[plugin]` is installed and knows its configuration; nothing to do without one.

    Raises:
        SettingsError: naming what is missing or wrong, and what to do.
    """
    if not settings.plugin.is_set:
        return
    source, wrong = _source(settings)
    try:
        source.load()
    except wrong as error:
        raise SettingsError(str(error)) from error


def open_plugin(hub: "Hub") -> "LoginPlugin":
    """Return the class of `[plugin]`, running.

    Raises:
        SettingsError: as `check` does, and naming what the class does not accept.
    """
    source, wrong = _source(hub.settings)
    from hubless.adapters.authenticators.jupyterhub_plugin.plugin import JupyterHubPlugin

    def auth_state_of(name: str) -> Mapping[str, Any] | None:
        user = hub.users.find(name)
        return hub.kept_auth_states.of(user) if user is not None else None

    settings = hub.settings.plugin
    try:
        return JupyterHubPlugin(
            source,
            database=hub.settings.data / Path(settings.database or DATABASE).expanduser(),
            limit=settings.timeout.total_seconds(),
            cookie_secret=hmac.new(hub.key, b"cookies of the login plug-in", hashlib.sha256).digest(),
            is_known=lambda name: hub.users.find(name) is not None,
            auth_state_of=auth_state_of,
        )
    except wrong as error:
        raise SettingsError(str(error)) from error


def _source(settings: Settings) -> "tuple[PluginSource, type[Exception]]":
    for chatty in ("alembic", "tornado.application"):  # they note each import, and each login form
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        from hubless.adapters.authenticators.jupyterhub_plugin.loading import PluginConfigError
        from hubless.adapters.authenticators.jupyterhub_plugin.plugin import PluginSource
    except ModuleNotFoundError as missing:
        raise SettingsError(MISSING.format(name=missing.name)) from missing
    plugin = settings.plugin
    file = settings.data / Path(plugin.config_file).expanduser() if plugin.config_file else None
    secrets = tuple(
        str(plugin.config[section][trait]) for section, _, trait in (one.partition(".") for one in plugin.config_env)
    )
    login = settings.login
    source = PluginSource(
        plugin.authenticator_class,
        plugin.config,
        file,
        secrets,
        login.admins,
        keeps_state=login.auth_state,
        keeps_groups=login.managed_groups,
    )
    return source, PluginConfigError

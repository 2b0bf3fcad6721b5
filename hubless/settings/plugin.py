"""The section `[plugin]`: a JupyterHub authenticator class that logs people in, on one machine."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hubless.domain.values import value
from hubless.settings.types import DURATION, FLAG, SECRET_TABLE, TABLE, TEXT, TEXT_TABLE, SettingsError, setting


@value
class PluginSettings:
    """A JupyterHub authenticator class, on one machine."""

    authenticator_class: str = setting(
        "",
        TEXT,
        "The class: a name that its package registers, such as `ldap`, or `module.Class`. With it,"
        ' `login.kind` is `"none"`',
    )
    config: Mapping[str, Any] = setting(
        {}, SECRET_TABLE, "The class's configuration, as in `[plugin.config.LDAPAuthenticator]`"
    )
    config_env: Mapping[str, str] = setting(
        {},
        TEXT_TABLE,
        "Configuration that environment variables hold, as in"
        ' `config_env = { "GenericOAuthenticator.client_secret" = "OAUTH_SECRET" }`',
    )
    config_file: str = setting(
        "",
        TEXT,
        "A `jupyterhub_config.py`, for what TOML cannot say. The hub reads what concerns the class, and runs it as"
        " Python",
    )
    database: str = setting(
        "",
        TEXT,
        "The SQLite file in which classes such as NativeAuthenticator keep accounts; empty for `plugin.sqlite` in the"
        " data folder",
    )
    timeout: timedelta = setting("30s", DURATION, "How long the class may take for one request")
    shares_accounts: bool = setting(
        False,
        FLAG,
        "Whether the class may log in to accounts of `[[lti_platforms]]` and `[[login_proxies]]` too: it knows people"
        " by name, so all must mean the same people",
    )

    @property
    def is_set(self) -> bool:
        """Say whether a class logs people in."""
        return bool(self.authenticator_class or self.config_file)


def with_secrets(given: PluginSettings, environ: Mapping[str, str]) -> PluginSettings:
    """Return *given* with the values of the variables that `config_env` names.

    Raises:
        SettingsError: naming the key that is set without a class, is no `Class.trait`, or whose variable is not set.
    """
    if not given.is_set:
        for key in ("config", "config_env", "database"):
            if getattr(given, key):
                raise SettingsError(f"plugin.{key} has no effect without plugin.authenticator_class: remove it")
        return given
    config: dict[str, dict[str, Any]] = {}
    for section, values in given.config.items():
        config[section] = dict(TABLE.value(values, f"plugin.config.{section}"))
    for trait, variable in given.config_env.items():
        _set_secret(config, trait, variable, environ)
    return replace(given, config=config)


def _set_secret(config: dict[str, dict[str, Any]], trait: str, variable: str, environ: Mapping[str, str]) -> None:
    section, _, name = trait.partition(".")
    if not section or not name:
        raise SettingsError(f'plugin.config_env: "{trait}" must be a class and a trait with a dot between them')
    if not environ.get(variable):
        raise SettingsError(f"plugin.config_env: {trait} needs the variable {variable}, which is not set")
    table = config.setdefault(section, {})
    if name in table:
        raise SettingsError(f"plugin.config_env: {trait} is in plugin.config too: remove one of them")
    table[name] = environ[variable]

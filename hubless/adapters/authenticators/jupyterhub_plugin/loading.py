"""Finds an authenticator class, checks its configuration, and makes the authenticator as JupyterHub does."""

import inspect
import logging
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from traitlets.config import Config, Configurable
from traitlets.config.loader import PyFileConfigLoader

logger = logging.getLogger(__name__)
GROUP = "jupyterhub.authenticators"
# What registers the names that people have in their configuration of JupyterHub.
PACKAGES = {
    "ldap": "jupyterhub-ldapauthenticator",
    "native": "jupyterhub-nativeauthenticator",
    "firstuse": "jupyterhub-firstuseauthenticator",
    "oauth": "oauthenticator",
}


class PluginConfigError(Exception):
    """Raised when a class or its configuration cannot be used; the message is a sentence that names the fault."""


def read_file(path: Path) -> Config:
    """Return the configuration that the Python file at *path* makes, as JupyterHub reads it.

    Raises:
        PluginConfigError: when the file cannot be read, or raises something.
    """
    try:
        config: Config = PyFileConfigLoader(path.name, path=str(path.parent)).load_config()
    except Exception as error:
        raise PluginConfigError(f"{path}: {type(error).__name__}: {error}") from error
    return config


def find_class(name: str) -> type[Authenticator]:
    """Return the class that a package registers as *name*, in any case, or the one at `module.Class`.

    Raises:
        PluginConfigError: when there is no such class, naming the classes that there are and what to install.
    """
    registered = {entry.name.lower(): entry for entry in entry_points(group=GROUP)}
    try:
        found = registered[name.lower()].load() if name.lower() in registered else _imported(name)
    except (ImportError, AttributeError, ValueError) as error:
        missing = next((f" Install {package}." for word, package in PACKAGES.items() if word in name.lower()), "")
        known = ", ".join(sorted(registered))
        raise PluginConfigError(
            f'There is no authenticator class "{name}" ({error}).{missing} These are installed: {known}'
        ) from error
    if not (inspect.isclass(found) and issubclass(found, Authenticator)):
        raise PluginConfigError(f'"{name}" is no authenticator class of JupyterHub')
    return found


def _imported(name: str) -> Any:
    module, _, attribute = name.replace(":", ".").rpartition(".")
    if not module:
        raise ValueError("no package registers it")
    return getattr(import_module(module), attribute)


def checked(cls: type[Authenticator], tables: Mapping[str, Any], file: Config) -> Config:
    """Return the configuration of *cls*: that of *file*, and over it that of *tables*.

    JupyterHub only warns of a name that it does not know, so a list of allowed people may silently count for nothing
    (CVE-2018-7206). Here that is an error.

    Raises:
        PluginConfigError: naming the section or the trait that the class does not have.
    """
    sections = {base.__name__ for base in cls.mro() if issubclass(base, Configurable)}
    traits = set(cls.class_traits(config=True))
    merged = Config()
    for section, values in file.items():
        if section in sections:
            _check_section(cls, section, values, traits)
            merged[section].merge(values)
        elif section.endswith("Authenticator"):
            raise PluginConfigError(_no_section(cls, section, sections))
        elif section != "JupyterHub":
            logger.info("config_file: c.%s is not about logins, and ignored", section)
    for section, values in tables.items():
        if section not in sections:
            raise PluginConfigError(_no_section(cls, section, sections))
        _check_section(cls, section, values, traits)
        merged[section].update(values)
    return merged


def _check_section(cls: type[Authenticator], section: str, values: Any, traits: Collection[str]) -> None:
    if not isinstance(values, Mapping):
        raise PluginConfigError(f"{section} must be a table of settings of {cls.__name__}")
    for name in values:
        if name not in traits:
            close = get_close_matches(name, list(traits), n=1)
            meant = f"; did you mean {section}.{close[0]}?" if close else ""
            raise PluginConfigError(f"{section}.{name} is not a setting of {cls.__name__}{meant}")


def _no_section(cls: type[Authenticator], section: str, sections: set[str]) -> str:
    known = ", ".join(sorted(sections - {"Configurable", "LoggingConfigurable"}))
    return f"{section} configures another class than {cls.__name__}, which reads {known}"


def make(
    cls: type[Authenticator], config: Config, *, admins: Collection[str], database: Any, hidden: Collection[str] = ()
) -> Authenticator:
    """Return the authenticator, with its lists of names normalised as JupyterHub does at its start (`init_users`).

    Args:
        cls: the class.
        config: its configuration.
        admins: the admins that the hub's own settings name.
        database: what the class gets as `db`.
        hidden: values that no error shows.

    Raises:
        PluginConfigError: when the class refuses a value, or asks for what hubless does not offer.
    """
    try:
        made = cls(config=config, log=logging.getLogger(f"{__name__}.{cls.__name__}"), _deprecated_db_session=database)
        _refuse_managed_roles(made)
        _normalise_lists(made, admins)
        made.check_allow_config()
    except PluginConfigError:
        raise
    except Exception as error:
        words = str(error)
        for value in hidden:
            words = words.replace(value, "…")
        raise PluginConfigError(f"{cls.__name__} does not accept its configuration: {words}") from error
    return made


def _refuse_managed_roles(made: Authenticator) -> None:
    if made.manage_roles:
        raise PluginConfigError("manage_roles has no effect in hubless: assign roles by [[roles]] and groups")


def _normalise_lists(made: Authenticator, admins: Collection[str]) -> None:
    for names in (made.admin_users, made.allowed_users, made.blocked_users):
        for name in names:
            if not made.validate_username(made.normalize_username(name)):
                raise PluginConfigError(f"{name!r} is not a valid username for {type(made).__name__}")
    made.admin_users = set(map(made.normalize_username, [*made.admin_users, *admins]))
    made.allowed_users = set(map(made.normalize_username, made.allowed_users))
    made.blocked_users = set(map(made.normalize_username, made.blocked_users))
    if made.allowed_users and made.admin_users:
        made.allowed_users |= made.admin_users

"""Settings: frozen and typed, read from hubless.toml. No other package reads the environment.

A key that is unknown, of the wrong type or out of range stops the start with an error that names it.
"""

from hubless.settings.loading import DEFAULT_FILE, Settings, load, parse, read_text
from hubless.settings.profiles import ProfileSettings
from hubless.settings.providers import ProviderSettings
from hubless.settings.sections import (
    CullingSettings,
    CustomScopeSettings,
    GroupSettings,
    HubSettings,
    IdlePolicySettings,
    LoginSettings,
    RoleSettings,
    ServersSettings,
    ServiceSettings,
    TokensSettings,
)
from hubless.settings.types import NEVER, SettingsError

__all__ = [
    "DEFAULT_FILE",
    "NEVER",
    "CullingSettings",
    "CustomScopeSettings",
    "GroupSettings",
    "HubSettings",
    "IdlePolicySettings",
    "LoginSettings",
    "ProfileSettings",
    "ProviderSettings",
    "RoleSettings",
    "ServersSettings",
    "ServiceSettings",
    "Settings",
    "SettingsError",
    "TokensSettings",
    "load",
    "parse",
    "read_text",
]

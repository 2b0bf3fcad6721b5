"""The section `auth` of charts before 1.0 of Zero to JupyterHub, as traits of the authenticators that it set."""

import re
from collections.abc import Mapping
from typing import Any

from embedded.settings_import.old_settings import TraitWriter

_HUB = "JupyterHub"
_CLASSES = {
    "azuread": "AzureAdOAuthenticator",
    "bitbucket": "BitbucketOAuthenticator",
    "cilogon": "CILogonOAuthenticator",
    "github": "GitHubOAuthenticator",
    "gitlab": "GitLabOAuthenticator",
    "globus": "GlobusOAuthenticator",
    "google": "GoogleOAuthenticator",
    "mediawiki": "MWOAuthenticator",
    "dummy": "DummyAuthenticator",
    "hmac": "HMACAuthenticator",
    "lti": "LTI11Authenticator",
}
_NAMES = {"hmac": "hmacauthenticator.HMACAuthenticator", "lti": "ltiauthenticator.LTIAuthenticator"}
_TRAITS = {
    "callback_url": "oauth_callback_url",
    "org_whitelist": "allowed_organizations",
    "gitlab_group_whitelist": "allowed_gitlab_groups",
    "gitlab_project_id_whitelist": "allowed_project_ids",
}
_GENERAL = {
    ("admin", "access"): (_HUB, "admin_access"),
    ("admin", "users"): ("Authenticator", "admin_users"),
    ("whitelist", "users"): ("Authenticator", "allowed_users"),
    ("blacklist", "users"): ("Authenticator", "blocked_users"),
    ("state", "enabled"): ("Authenticator", "enable_auth_state"),
    ("state", "crypto_key"): ("CryptKeeper", "keys"),
}
_LDAP = {
    ("server", "address"): "server_address",
    ("server", "port"): "server_port",
    ("server", "ssl"): "use_ssl",
    ("allowed_groups",): "allowed_groups",
    ("dn", "templates"): "bind_dn_template",
    ("dn", "lookup"): "lookup_dn",
    ("dn", "search", "filter"): "lookup_dn_search_filter",
    ("dn", "search", "user"): "lookup_dn_search_user",
    ("dn", "search", "password"): "lookup_dn_search_password",
    ("dn", "user", "dn_attribute"): "lookup_dn_user_dn_attribute",
    ("dn", "user", "escape"): "escape_userdn",
    ("dn", "user", "valid_regex"): "valid_username_regex",
    ("dn", "user", "search_base"): "user_search_base",
    ("dn", "user", "attribute"): "user_attribute",
}
_INNER_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def read(given: Mapping[str, Any], writer: TraitWriter) -> None:
    """Read the section `auth`: a type, a section of its name, and what counts for all types."""
    type_ = given.get("type")
    for name, one in given.items():
        if one is None:
            continue
        if name == "type":
            writer.put(_HUB, "authenticator_class", _class(type_, given), "auth.type")
        elif name == "scopes":
            writer.put("OAuthenticator", "scope", one, "auth.scopes")
        elif name == type_ and isinstance(type_, str) and isinstance(one, Mapping):
            _of_type(type_, one, writer)
        elif isinstance(one, Mapping) and name in {"admin", "whitelist", "blacklist", "state"}:
            _general(name, one, writer)
        else:
            writer.put("Chart", f"auth.{name}", one, f"auth.{name}")


def _class(type_: Any, given: Mapping[str, Any]) -> Any:
    custom = given.get("custom")
    if type_ == "custom" and isinstance(custom, Mapping):
        return _by_trait(custom).get("class_name")
    return _NAMES.get(type_, type_) if isinstance(type_, str) else type_


def _of_type(type_: str, given: Mapping[str, Any], writer: TraitWriter) -> None:
    if type_ == "ldap":
        _ldap((), given, writer)
    elif type_ == "custom":
        name, config = _by_trait(given).get("class_name"), given.get("config")
        if isinstance(name, str) and isinstance(config, Mapping):
            for trait, one in config.items():
                writer.put(name.rpartition(".")[2], trait, one, f"auth.custom.config.{trait}")
    else:
        for trait, one in given.items():
            writer.put(_CLASSES.get(type_, type_), _trait(trait), one, f"auth.{type_}.{trait}")


def _general(section: str, given: Mapping[str, Any], writer: TraitWriter) -> None:
    for key, one in given.items():
        class_, trait = _GENERAL.get((section, _trait(key)), ("Chart", f"auth.{section}.{key}"))
        writer.put(class_, trait, one, f"auth.{section}.{key}")


def _ldap(path: tuple[str, ...], given: Mapping[str, Any], writer: TraitWriter) -> None:
    for key, one in given.items():
        here = (*path, _trait(key))
        label = f"auth.ldap.{'.'.join(here)}"
        if here in _LDAP:
            writer.put("LDAPAuthenticator", _LDAP[here], one, label)
        elif isinstance(one, Mapping) and len(here) < len(max(_LDAP, key=len)):
            _ldap(here, one, writer)
        elif one is not None:
            writer.put("Chart", label, one, label)


def _trait(key: str) -> str:
    """Return the trait of a key, which is `clientId` in later charts and `client-id` in earlier ones."""
    name = _INNER_CAPITAL.sub("_", str(key)).replace("-", "_").lower()
    return _TRAITS.get(name, name)


def _by_trait(given: Mapping[str, Any]) -> dict[str, Any]:
    return {_trait(key): one for key, one in given.items()}

"""The roles of a hub: the default ones, changed by settings."""

from collections.abc import Mapping
from dataclasses import replace

from hubless.domain import roles as roles_
from hubless.domain.audit import READ_SCOPE
from hubless.domain.delegation import opens_what_is_others
from hubless.domain.errors import InvalidRequestError
from hubless.domain.roles import Role
from hubless.domain.scopes import Bearer, Definition, define, expand, parse
from hubless.settings import Settings, SettingsError
from hubless.settings.loading import require_admin_password

BUILT_IN = {
    "custom:lti:grades": Definition("Read and give grades in courses of an LMS."),
    READ_SCOPE: Definition("Read who did what on the hub."),
}
"""Scopes of hubless's own API. They are no scopes of JupyterHub, so they are custom."""
OF_ADMINS = (READ_SCOPE,)
"""Those that admins have. Nobody has another by default."""


def role_table_of(settings: Settings) -> Mapping[str, Role]:
    """Return the default roles, changed and extended by those of *settings*.

    Raises:
        SettingsError: naming a custom scope that is not allowed, or a role with a scope that does not exist.
    """
    _define_custom_scopes(settings)
    admin = roles_.DEFAULTS["admin"]
    table = {**roles_.DEFAULTS, "admin": replace(admin, scopes=(*admin.scopes, *OF_ADMINS))}
    for role in settings.roles:
        if role.name == "admin" and role.scopes:
            raise SettingsError(
                "roles.admin: the scopes of the role `admin` cannot be changed; give it users or groups"
            )
        for scope in role.scopes:
            try:
                parse(scope)
            except InvalidRequestError as unknown:
                raise SettingsError(f"roles.{role.name}.scopes: {unknown}") from unknown
        default = table.get(role.name, Role(role.name))
        table[role.name] = Role(
            role.name,
            tuple(role.scopes) or default.scopes,
            role.description or default.description,
            frozenset(role.users),
            frozenset(role.groups),
            frozenset(role.services),
        )
    _check_shared_password(settings, table)
    return table


def _check_shared_password(settings: Settings, table: Mapping[str, Role]) -> None:
    """Refuse a shared password without an admins' one if a role gives named users more than what is theirs."""
    for role in settings.roles:
        members = [name for group in role.groups if group in settings.groups for name in settings.groups[group].users]
        for name in dict.fromkeys((*role.users, *members)):
            held = expand(table[role.name].scopes, Bearer(user=name))
            if opens_what_is_others(held, name, table):
                require_admin_password(settings.login, [name], f"roles.{role.name}")


def _define_custom_scopes(settings: Settings) -> None:
    try:
        define(
            {
                **BUILT_IN,
                **{
                    name: Definition(one.description, tuple(one.subscopes))
                    for name, one in settings.custom_scopes.items()
                },
            }
        )
    except InvalidRequestError as wrong:
        raise SettingsError(f"custom_scopes: {wrong}") from wrong

"""The roles of a hub: the default ones, changed by settings."""

from collections.abc import Mapping

from hubless.domain import roles as roles_
from hubless.domain.errors import InvalidRequestError
from hubless.domain.roles import Role
from hubless.domain.scopes import Definition, define, parse
from hubless.settings import Settings, SettingsError


def role_table_of(settings: Settings) -> Mapping[str, Role]:
    """Return the default roles, changed and extended by those of *settings*.

    Raises:
        SettingsError: naming a custom scope that is not allowed, or a role with a scope that does not exist.
    """
    _define_custom_scopes(settings)
    table = dict(roles_.DEFAULTS)
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
    return table


def _define_custom_scopes(settings: Settings) -> None:
    try:
        define(
            {name: Definition(one.description, tuple(one.subscopes)) for name, one in settings.custom_scopes.items()}
        )
    except InvalidRequestError as wrong:
        raise SettingsError(f"custom_scopes: {wrong}") from wrong

"""Roles: named lists of scopes, and the users, groups and services that have them."""

from collections.abc import Mapping
from types import MappingProxyType

from hubless.domain import scopes
from hubless.domain.translatable import gettext as _
from hubless.domain.users import Service, User
from hubless.domain.values import value


@value
class Role:
    """A list of scopes, and the names of those that have it."""

    name: str
    scopes: tuple[str, ...] = ()
    description: str = ""
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()


DEFAULTS: Mapping[str, Role] = MappingProxyType(
    {
        "user": Role("user", scopes.USER_ROLE, _("What every user may do")),
        "admin": Role("admin", scopes.ADMIN_ROLE, _("What admins may do")),
        "server": Role("server", scopes.SERVER_ROLE, _("What a server may do with its own token")),
    }
)


def of_user(user: User, roles: Mapping[str, Role]) -> list[str]:
    """Return the names of the roles that *user* has itself, sorted; roles of groups are not included."""
    own = ["admin", "user"] if user.admin else ["user"]
    given = [r.name for r in roles.values() if r.users and user.name in r.users]
    return sorted({*own, *given}) if given else own


def of_group(name: str, roles: Mapping[str, Role]) -> list[str]:
    """Return the names of the roles that members of the group inherit, sorted."""
    return sorted(r.name for r in roles.values() if name in r.groups)


def of_service(service: Service, roles: Mapping[str, Role]) -> list[str]:
    """Return the names of a service's roles, sorted; by default only an admin service has one, `admin`."""
    own = {"admin"} if service.admin else set()
    return sorted(own | {r.name for r in roles.values() if service.name in r.services})


def scopes_of_user(user: User, roles: Mapping[str, Role]) -> scopes.Scopes:
    """Return the expanded scopes of *user*: of its own roles, its groups' roles and the servers shared with it."""
    names = dict.fromkeys((*of_user(user, roles), *(r for g in user.groups for r in of_group(g, roles))))
    raw = tuple(s for name in names for s in roles[name].scopes)
    return scopes.expand((*raw, *user.shared), scopes.Bearer(user=user.name))


def scopes_of_service(service: Service, roles: Mapping[str, Role]) -> scopes.Scopes:
    """Return the expanded scopes of *service*."""
    raw = tuple(s for name in of_service(service, roles) for s in roles[name].scopes)
    return scopes.expand(raw, scopes.Bearer(service=service.name))

"""Delegation: which rights a person would gain by acting as somebody else, and by whom a client may be trusted.

JupyterHub checks the admin flag alone. Here every way to act as another user (a password, a one-time link, a token, a
client's request for scopes) is compared with what the person holds. What the role `user` gives to everybody is not
counted: who administers a user administers that as well.
"""

from collections.abc import Iterable, Mapping

from hubless.domain import scopes
from hubless.domain.roles import Role
from hubless.domain.scopes import GROUP, METASCOPES, SELF, USER, Bearer, GroupsOf, Scope, Scopes

_OF_GROUPS = frozenset(
    {
        "admin:groups",
        "groups",
        "delete:groups",
        "list:groups",
        "read:groups",
        "read:groups:name",
        "read:roles:groups",
        "groups:shares",
        "read:groups:shares",
    }
)
_EVERYTHING = "inherit"


def basic_scopes(user_name: str, roles: Mapping[str, Role]) -> Scopes:
    """Return the scopes that the role `user` gives to the user of this name."""
    return scopes.expand(roles["user"].scopes, Bearer(user=user_name))


def surplus(wanted: Scopes, held: Scopes, user_name: str, roles: Mapping[str, Role], groups_of: GroupsOf) -> list[str]:
    """Return those of the *wanted* scopes of a user that neither *held* nor the role `user` covers, sorted."""
    basic = basic_scopes(user_name, roles)
    return sorted(
        str(scope) for scope in wanted.all if not held.covers(scope, groups_of) and not basic.covers(scope, groups_of)
    )


def gained_over_member(held: Scopes, group: str, member: str, groups: Iterable[str]) -> list[str]:
    """Return the scopes under the filter of *group* that *held* does not have for *member*, who is in *groups*.

    Who adds the member would get them over the member. Scopes that only read are not counted, nor are those on groups.
    """
    known = tuple(groups)
    return sorted(
        str(scope)
        for scope in held.all
        if (scope.kind, scope.value) == (GROUP, group)
        and scope.name not in _OF_GROUPS
        and not is_reading(scope.name)
        and not held.covers_user(scope.name, member, known)
    )


def exceeding_requests(allowed: Iterable[str], service: str, held: Scopes, groups_of: GroupsOf) -> list[str]:
    """Return those of a client's *allowed* scopes that give it more of any visitor than *held* covers, sorted.

    `self`, `inherit`, `!user` and `!server` stand for whoever logs in, so they count as what any visitor may hold.

    Args:
        allowed: the scopes that the client may request, as texts.
        service: the name of the client's service, to which `!service` refers.
        held: the scopes of the person who registers the client.
        groups_of: returns the groups of a user of a name.

    Raises:
        InvalidRequestError: naming a scope that does not exist.
    """
    found = []
    for text in allowed:
        scope = scopes.parse(text)
        needed = _for_any_visitor(scope, service)
        if needed is None or not all(held.covers(one, groups_of) for one in needed.all):
            found.append(text)
    return sorted(found)


def _for_any_visitor(scope: Scope, service: str) -> Scopes | None:
    """Return the most that *scope* can mean for any visitor, or None for everything that the hub has."""
    if scope.name == _EVERYTHING:
        return None
    if scope.name == "self":
        return scopes.expand(SELF, Bearer())
    if scope.name in METASCOPES:
        return Scopes(())
    if scope.kind in {USER, scopes.SERVER} and not scope.value:
        return scopes.expand([scope.name], Bearer())
    return scopes.expand([str(scope)], Bearer(service=service))


def is_reading(name: str) -> bool:
    """Say whether the scope *name* only reads or lists."""
    return name.startswith(("read:", "list:"))


def opens_what_is_others(held: Scopes, user_name: str, roles: Mapping[str, Role]) -> bool:
    """Say whether a user of this name holds more than reading beyond what the role `user` gives to everybody."""
    basic = basic_scopes(user_name, roles)
    return any(
        not is_reading(scope.name) and not _is_own(scope, user_name) and not basic.covers(scope, lambda _user: ())
        for scope in held.all
    )


def _is_own(scope: Scope, user_name: str) -> bool:
    owner = scope.value.rpartition("/")[0] if scope.kind == scopes.SERVER else scope.value
    return scope.kind in {USER, scopes.SERVER} and owner == user_name

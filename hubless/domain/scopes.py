"""Scopes: what they allow, which scopes they contain, and the intersection of two sets.

The rules are JupyterHub 6.1's. A scope is a name with at most one filter (`read:users!group=g`). It contains other
scopes, which inherit its filter. A token never allows more than its owner may do at that moment.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from types import MappingProxyType

from hubless.domain.bounds import MAX_SCOPE, MAX_USER_NAME
from hubless.domain.errors import InvalidRequestError
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value

USER, GROUP, SERVER, SERVICE = "user", "group", "server", "service"
_FILTERS = frozenset({USER, GROUP, SERVER, SERVICE})
GroupsOf = Callable[[str], Iterable[str]]


@value
class Definition:
    """What a scope allows, in one sentence, and the scopes that it contains directly."""

    description: str
    contains: tuple[str, ...] = ()


DEFINITIONS: Mapping[str, Definition] = MappingProxyType(
    {
        "(no_scope)": Definition(_("Know who you are.")),
        "self": Definition(_("Everything of your own.")),
        "inherit": Definition(_("Everything that you may do.")),
        "admin-ui": Definition(_("Open the admin page.")),
        "admin:users": Definition(
            _("Create, change and remove users and read their authentication state."),
            ("admin:auth_state", "users", "read:roles:users", "delete:users"),
        ),
        "admin:auth_state": Definition(_("Read the authentication state of users.")),
        "users": Definition(_("Read and change users."), ("read:users", "list:users", "users:activity")),
        "delete:users": Definition(_("Remove users.")),
        "list:users": Definition(_("List users by name."), ("read:users:name",)),
        "read:users": Definition(_("Read users."), ("read:users:name", "read:users:groups", "read:users:activity")),
        "read:users:name": Definition(_("Read the names of users.")),
        "read:users:groups": Definition(_("Read which groups users are in.")),
        "read:users:activity": Definition(_("Read when users were last active.")),
        "read:roles": Definition(
            _("Read who has which role."), ("read:roles:users", "read:roles:services", "read:roles:groups")
        ),
        "read:roles:users": Definition(_("Read the roles of users.")),
        "read:roles:services": Definition(_("Read the roles of services.")),
        "read:roles:groups": Definition(_("Read the roles of groups.")),
        "users:activity": Definition(_("Report that users are active."), ("read:users:activity",)),
        "admin:servers": Definition(
            _("Start and stop servers and read their inner state."), ("admin:server_state", "servers")
        ),
        "admin:server_state": Definition(_("Read the inner state of servers.")),
        "servers": Definition(_("Start and stop servers."), ("read:servers", "start:servers", "delete:servers")),
        "read:servers": Definition(_("Read servers and the names of their owners."), ("read:users:name",)),
        "start:servers": Definition(_("Start and edit servers.")),
        "delete:servers": Definition(_("Stop and remove servers.")),
        "tokens": Definition(_("Create, read and revoke tokens of users."), ("read:tokens",)),
        "read:tokens": Definition(_("Read tokens of users.")),
        "admin:groups": Definition(
            _("Create, change and remove groups."), ("groups", "read:roles:groups", "delete:groups")
        ),
        "groups": Definition(_("Read groups and change who is in them."), ("read:groups", "list:groups")),
        "list:groups": Definition(_("List groups by name."), ("read:groups:name",)),
        "read:groups": Definition(_("Read groups."), ("read:groups:name",)),
        "read:groups:name": Definition(_("Read the names of groups.")),
        "delete:groups": Definition(_("Remove groups.")),
        "admin:services": Definition(
            _("Create, change and remove services."), ("list:services", "read:services", "read:roles:services")
        ),
        "list:services": Definition(_("List services by name."), ("read:services:name",)),
        "read:services": Definition(_("Read services."), ("read:services:name",)),
        "read:services:name": Definition(_("Read the names of services.")),
        "read:hub": Definition(_("Read details of the hub.")),
        "access:servers": Definition(_("Use servers, in a browser and by API.")),
        "access:services": Definition(_("Use services, in a browser and by API.")),
        "users:shares": Definition(_("Read and give up what is shared with users."), ("read:users:shares",)),
        "read:users:shares": Definition(_("Read what is shared with users.")),
        "groups:shares": Definition(_("Read and give up what is shared with groups."), ("read:groups:shares",)),
        "read:groups:shares": Definition(_("Read what is shared with groups.")),
        "read:shares": Definition(_("Read with whom servers are shared.")),
        "shares": Definition(_("Share servers."), ("access:servers", "read:shares", "users:shares", "groups:shares")),
        "proxy": Definition(_("Read the routes and have them checked.")),
        "shutdown": Definition(_("Shut the hub down (it has no process: nothing happens).")),
        "read:metrics": Definition(_("Read the metrics.")),
    }
)

SELF = (
    "read:users",
    "read:users:name",
    "read:users:groups",
    "read:users:activity",
    "users:shares",
    "read:users:shares",
    "read:shares",
    "users:activity",
    "servers",
    "read:servers",
    "start:servers",
    "delete:servers",
    "tokens",
    "read:tokens",
    "access:servers",
)
ADMIN_ROLE = (
    "admin-ui",
    "admin:users",
    "admin:servers",
    "admin:services",
    "tokens",
    "admin:groups",
    "list:services",
    "read:services",
    "read:hub",
    "proxy",
    "shutdown",
    "access:services",
    "access:servers",
    "read:roles",
    "read:metrics",
    "shares",
)
USER_ROLE = ("self",)
SERVER_ROLE = ("users:activity!user", "access:servers!server")
IDENTIFY = ("read:users:name!user", "read:users:groups!user")
IDENTIFY_SERVICE = ("read:services:name!service",)
METASCOPES = frozenset({"self", "inherit", "(no_scope)"})
_CUSTOM = re.compile(r"custom:[a-z0-9][a-z0-9_\-*:]+[a-z0-9_*]")
_MAX_CACHED = 4096  # characters of all scopes of an entry
_custom: dict[str, Definition] = {}  # custom scopes of the one hub that this process serves; see `define`


@value
class Scope:
    """One scope: a name and at most one filter. A filter without a value means the bearer's own."""

    name: str
    kind: str = ""
    value: str = ""

    def __str__(self) -> str:
        if not self.kind:
            return self.name
        return f"{self.name}!{self.kind}" + (f"={self.value}" if self.value else "")


def define(custom: Mapping[str, Definition]) -> None:
    """Make *custom* the only scopes besides JupyterHub's own. Call it once, before any scope is parsed.

    Raises:
        InvalidRequestError: naming a scope whose name is not allowed, or that contains a scope that is not custom.
    """
    for name, definition in custom.items():
        if len(name) > MAX_USER_NAME or not _CUSTOM.fullmatch(name):
            why = "write `custom:`, then a-z, 0-9, _, -, * and :, with no - or : at the end"
            raise InvalidRequestError(f"{name!r} is not allowed as a custom scope: {why}")
        for inner in definition.contains:
            if inner not in custom:
                raise InvalidRequestError(f"{name} contains {inner!r}, which is not a custom scope")
    _custom.clear()
    _custom.update(custom)
    _contained.cache_clear()
    _expanded.cache_clear()


def is_custom(name: str) -> bool:
    """Say whether *name* is a scope that this hub defines for its services."""
    return name in _custom


def described(text: str) -> str:
    """Return a sentence that says what the scope *text* allows, and its filter in parentheses."""
    scope = parse(text)
    known = DEFINITIONS.get(scope.name) or _custom[scope.name]
    what = known.description
    if not scope.kind:
        return what
    of = scope.value or _("you")
    if scope.kind == SERVER:
        return _("%(what)s (server %(of)s)", what=what, of=of)
    return _("%(what)s (%(of)s)", what=what, of=of)


def parse(text: str) -> Scope:
    """Return the scope that *text* names.

    Raises:
        InvalidRequestError: naming the part that is unknown.
    """
    if len(text) > MAX_SCOPE:
        raise InvalidRequestError(f"No such scope: {text[:60]!r}… is longer than {MAX_SCOPE} characters")
    name, marked, rest = text.partition("!")
    if name not in DEFINITIONS and not is_custom(name):
        raise InvalidRequestError(f"No such scope: {name!r}")
    if not marked:
        return Scope(name)
    kind, equals, value = rest.partition("=")
    if name in METASCOPES:
        raise InvalidRequestError(f"{name} stands for others and takes no filter: {text!r}")
    if (
        kind not in _FILTERS
        or (equals and not value)
        or (kind == GROUP and not value)
        or (kind == USER and "/" in value)
    ):
        raise InvalidRequestError(f"No such filter: {rest!r} in scope {text!r}")
    if kind == SERVER and equals and "/" not in value:
        raise InvalidRequestError(f"A server filter is `!server=USER/SERVER`: {text!r} has no slash")
    return Scope(name, kind, value)


@value
class Bearer:
    """The holder of scopes: `self` and filters without a value refer to it."""

    user: str | None = None
    service: str | None = None
    server: str | None = None  # USER/SERVER, of a server's own token or of a token issued to a server


def expand(raw: Iterable[str], bearer: Bearer) -> "Scopes":
    """Return everything that *raw* contains for *bearer*, without scopes that do not exist or cannot be resolved."""
    some = tuple(text for text in raw if len(text) <= MAX_SCOPE)
    # The cache keeps what it was asked: long lists, which come from requests, would fill the memory.
    is_long = sum(map(len, some)) > _MAX_CACHED
    return (_expanded.__wrapped__ if is_long else _expanded)(some, bearer)


@lru_cache(maxsize=4096)
def _expanded(raw: tuple[str, ...], bearer: Bearer) -> "Scopes":
    found: set[Scope] = set()
    for text in raw:
        try:
            scope = parse(text)
        except InvalidRequestError:  # a custom scope that settings no longer define
            continue
        if scope.name == "self":
            found |= _self(bearer)
        elif scope.name not in METASCOPES and (resolved := _resolved(scope, bearer)) is not None:
            found |= {s for name in _contained(resolved.name) if (s := _handed_down(resolved, name)) is not None}
    everywhere = {scope.name for scope in found if not scope.kind}
    return Scopes(s for s in found if not s.kind or s.name not in everywhere)  # the unfiltered scope includes these


def _self(bearer: Bearer) -> set[Scope]:
    return {Scope(name, USER, bearer.user) for name in SELF} if bearer.user else set()


def _resolved(scope: Scope, bearer: Bearer) -> Scope | None:
    if not scope.kind or scope.value:
        return scope
    value = {USER: bearer.user, SERVICE: bearer.service, SERVER: bearer.server}[scope.kind]
    return None if value is None else Scope(scope.name, scope.kind, value)


@cache
def _contained(name: str) -> tuple[str, ...]:
    """Return *name* and every scope that it contains, at any depth."""
    found, waiting = dict[str, None](), [name]
    while waiting:  # custom scopes may contain each other in a cycle
        if (one := waiting.pop(0)) not in found:
            found[one] = None
            waiting += (DEFINITIONS.get(one) or _custom[one]).contains
    return tuple(found)


def _handed_down(scope: Scope, name: str) -> Scope | None:
    """Return *name* with the filter of *scope*; None where a filter on one server would allow reading its owner."""
    if scope.kind == SERVER and name.startswith("read:users"):
        return None
    return Scope(name, scope.kind, scope.value)


class Scopes:
    """A set of expanded scopes, which never changes; its index by name is made once."""

    __slots__ = ("_by_name", "all")

    def __init__(self, scopes: Iterable[Scope]) -> None:
        self.all = frozenset(scopes)
        self._by_name: dict[str, set[tuple[str, str]]] | None = None

    def __or__(self, other: "Scopes") -> "Scopes":
        return Scopes(self.all | other.all)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scopes) and self.all == other.all

    def __hash__(self) -> int:
        return hash(self.all)

    def texts(self) -> list[str]:
        """Return the scopes as sorted texts."""
        return sorted(map(str, self.all))

    def filters(self, name: str) -> set[tuple[str, str]]:
        """Return the filters of *name* in this set; `("", "")` stands for no filter."""
        if self._by_name is None:
            self._by_name = {}
            for scope in self.all:
                self._by_name.setdefault(scope.name, set()).add((scope.kind, scope.value))
        return self._by_name.get(name, set())

    def has(self, name: str) -> bool:
        """Say whether *name* is in this set, with any filter."""
        return bool(self.filters(name))

    def has_everywhere(self, name: str) -> bool:
        """Say whether *name* is in this set without a filter."""
        return ("", "") in self.filters(name)

    def covers_user(self, name: str, user: str, groups: Iterable[str] = ()) -> bool:
        """Say whether *name* covers this user, who is in *groups*."""
        held = self.filters(name)
        return ("", "") in held or (USER, user) in held or any((GROUP, g) in held for g in groups)

    def covers_server(self, name: str, user: str, server: str, groups: Iterable[str] = ()) -> bool:
        """Say whether *name* covers this server, whose owner is in *groups*."""
        return (SERVER, f"{user}/{server}") in self.filters(name) or self.covers_user(name, user, groups)

    def covers_group(self, name: str, group: str) -> bool:
        """Say whether *name* covers this group."""
        held = self.filters(name)
        return ("", "") in held or (GROUP, group) in held

    def covers_service(self, name: str, service: str) -> bool:
        """Say whether *name* covers this service."""
        held = self.filters(name)
        return ("", "") in held or (SERVICE, service) in held

    def values(self, name: str, kind: str) -> set[str]:
        """Return the values of the filters of this *kind* that *name* has in this set."""
        return {value for k, value in self.filters(name) if k == kind}

    def covers(self, scope: Scope, groups_of: GroupsOf) -> bool:
        """Say whether this set allows *scope*."""
        return any(
            _meet((scope.kind, scope.value), held, groups_of) == (scope.kind, scope.value)
            for held in self.filters(scope.name)
        )

    def __and__(self, other: "Scopes") -> "Scopes":
        return self.intersection(other, lambda _user: ())

    def intersection(self, other: "Scopes", groups_of: GroupsOf) -> "Scopes":
        """Return what both sets allow; *groups_of* is called only where a filter on a user meets one on a group."""
        return Scopes(
            Scope(name, *met)
            for name in {s.name for s in self.all}
            for mine in self.filters(name)
            for theirs in other.filters(name)
            if (met := _meet(mine, theirs, groups_of)) is not None
        )


def _meet(one: tuple[str, str], two: tuple[str, str], groups_of: GroupsOf) -> tuple[str, str] | None:
    """Return the narrower of two filters if one lies within the other, or None."""
    if two in (one, ("", "")):
        return one
    if one == ("", "") or _lies_within(two, one, groups_of):
        return two
    return one if _lies_within(one, two, groups_of) else None


def _lies_within(inner: tuple[str, str], outer: tuple[str, str], groups_of: GroupsOf) -> bool:
    (kind, value), (around, name) = inner, outer
    if kind == SERVER and around == USER:
        return value.rpartition("/")[0] == name
    if kind in {USER, SERVER} and around == GROUP:
        return name in groups_of(value.rpartition("/")[0] if kind == SERVER else value)
    return False

"""Scope checks: a dependency for each kind of check, which a handler's signature names.

The OpenAPI document reads the scopes from the signature too, so it always lists those that the route checks.
"""

from collections.abc import Callable, Iterable
from typing import Any

from fastapi import Security
from starlette.exceptions import HTTPException
from starlette.requests import Request

from functions.api.auth.authentication import NO_CREDENTIALS, MaybeActor
from functions.api.dependencies import Groups, Users
from hubless.domain.users import Group, User
from hubless.services.identity import Actor

OUT_OF_REACH = "No access to resources or resources not found"


def holds(*scopes: str) -> Any:
    """Give a handler the `Actor`, who holds one of *scopes* under any filter; else 403."""
    return Security(_Holds(scopes, lambda actor, scope: actor.scopes.has(scope)), scopes=scopes)


def holds_everywhere(*scopes: str) -> Any:
    """Give a handler the `Actor`, who holds one of *scopes* without a filter; else 403.

    Use it for what no filter can select.
    """
    return Security(_Holds(scopes, lambda actor, scope: actor.scopes.has_everywhere(scope)), scopes=scopes)


def holds_for(scope: str, *kinds: str) -> Any:
    """Give a handler the `Actor`, who holds *scope* without a filter or under one of these *kinds*; else 403."""
    return Security(_HoldsFor(scope, kinds), scopes=[scope])


def user_in_path(*scopes: str, part: str = "name") -> Any:
    """Give a handler the `User` whose name is in the path, if the actor holds one of *scopes* for it.

    It answers 403 to an actor without any of them. It answers the same 404 when the user is out of reach or does not
    exist.
    """
    return Security(_UserInPath(scopes, part), scopes=scopes)


def owner_in_path(*scopes: str, part: str = "name") -> Any:
    """Give a handler the owner (`User`) of the server in the path, if the actor holds one of *scopes* for that server.

    The server need not exist. It answers as `user_in_path` does.
    """
    return Security(_OwnerInPath(scopes, part), scopes=scopes)


def group_in_path(*scopes: str) -> Any:
    """Give a handler the `Group` whose name is in the path, if the actor holds one of *scopes* for it.

    It answers 403 to an actor without any of them. It answers the same 404 when the group is out of reach or does not
    exist.
    """
    return Security(_GroupInPath(scopes), scopes=scopes)


def require(actor: Actor | None, *scopes: str) -> Actor:
    """Return the actor when it holds one of *scopes* under any filter.

    Raises:
        HTTPException: 403 with the scopes of which one is needed.
    """
    return _required(actor, scopes, lambda known, scope: known.scopes.has(scope))


def find_user(actor: Actor | None, users: Users, name: str, *scopes: str) -> User:
    """Return the user *name* when the actor holds one of *scopes* for it.

    Raises:
        HTTPException: 403 and 404, as `user_in_path` answers.
    """
    known = require(actor, *scopes)
    user = users.find(name)
    groups = user.groups if user else ()
    return _reached(user, reached=any(known.scopes.covers_user(scope, name, groups) for scope in scopes))


class _Holds:
    def __init__(self, scopes: tuple[str, ...], holds: Callable[[Actor, str], bool]) -> None:
        self._scopes, self._holds = scopes, holds

    async def __call__(self, actor: MaybeActor) -> Actor:
        return _required(actor, self._scopes, self._holds)


class _HoldsFor:
    def __init__(self, scope: str, kinds: tuple[str, ...]) -> None:
        self._scope, self._kinds = scope, {"", *kinds}

    async def __call__(self, actor: MaybeActor) -> Actor:
        known = require(actor, self._scope)
        if not any(kind in self._kinds for kind, _ in known.scopes.filters(self._scope)):
            raise HTTPException(403)
        return known


class _UserInPath:
    def __init__(self, scopes: tuple[str, ...], part: str) -> None:
        self._scopes, self._part = scopes, part

    async def __call__(self, request: Request, actor: MaybeActor, users: Users) -> User:
        return find_user(actor, users, request.path_params[self._part], *self._scopes)


class _OwnerInPath:
    def __init__(self, scopes: tuple[str, ...], part: str) -> None:
        self._scopes, self._part = scopes, part

    async def __call__(self, request: Request, actor: MaybeActor, users: Users) -> User:
        known = require(actor, *self._scopes)
        name, server = request.path_params[self._part], request.path_params.get("server", "")
        user = users.find(name)
        groups = user.groups if user else ()
        covers = known.scopes.covers_server
        return _reached(user, reached=any(covers(scope, name, server, groups) for scope in self._scopes))


class _GroupInPath:
    def __init__(self, scopes: tuple[str, ...]) -> None:
        self._scopes = scopes

    async def __call__(self, request: Request, actor: MaybeActor, groups: Groups) -> Group:
        known, name = require(actor, *self._scopes), request.path_params["name"]
        if not any(known.scopes.covers_group(scope, name) for scope in self._scopes):
            raise HTTPException(404, OUT_OF_REACH)
        group = groups.find(name)
        if group is None:
            raise HTTPException(404, f"No such group: {name[:60]}")
        return group


def _reached(user: User | None, *, reached: bool) -> User:
    if not reached:
        raise HTTPException(404, OUT_OF_REACH)
    if user is None:
        raise HTTPException(404)
    return user


def _required(actor: Actor | None, scopes: Iterable[str], holds: Callable[[Actor, str], bool]) -> Actor:
    if actor is None:
        raise HTTPException(403, NO_CREDENTIALS)
    if not any(holds(actor, scope) for scope in scopes):
        raise HTTPException(403, f"Action is not authorized with current scopes; requires any of [{', '.join(scopes)}]")
    return actor

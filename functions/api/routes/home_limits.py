"""Limits of users' files that admins set at run time. JupyterHub has no such API."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from functions.api import request_schemas as requests
from functions.api import response_schemas as schemas
from functions.api.auth.acts import record
from functions.api.auth.scope_checks import holds_everywhere
from functions.api.dependencies import Groups, HomeLimiting, Users
from functions.api.json_codec import JSONResponse
from functions.api.routers import api_router
from functions.api.store_pool import has_long_store_calls
from hubless.domain.audit import Act
from hubless.domain.errors import NotFoundError
from hubless.domain.users import GroupSummary, User
from hubless.services.home_limiting import written_limit
from hubless.services.identity import Actor

router = api_router(tag="home limits")
Manager = Annotated[Actor, holds_everywhere("admin:servers")]


async def _user(name: str, _actor: Manager, users: Users) -> User:
    """Return the user in the path, for who manages all servers: nobody with rights over some raises limits."""
    found = users.find(name)
    if found is None:
        raise NotFoundError("User", name)
    return found


async def _group(name: str, _actor: Manager, groups: Groups) -> GroupSummary:
    found = groups.summary(name)
    if found is None:
        raise NotFoundError("Group", name)
    return found


LimitedUser = Annotated[User, Depends(_user)]
LimitedGroup = Annotated[GroupSummary, Depends(_group)]


@router.get("/users/{name:segment}/home-limit", response_model=schemas.HomeLimit)
@has_long_store_calls
async def read_user_limit(user: LimitedUser, limiting: HomeLimiting) -> Response:
    """Return how large a user's home may be, whatever says so: this user's limit, a group's, or the settings."""
    return _answer(user, limiting)


@router.put("/users/{name:segment}/home-limit", response_model=schemas.HomeLimit)
@has_long_store_calls
async def set_user_limit(
    request: Request, user: LimitedUser, body: requests.HomeLimit, limiting: HomeLimiting
) -> Response:
    """Set how large a user's home may be. It is stronger than groups and settings, and counts from now on."""
    return _set(request, user, body.size, limiting)


@router.delete("/users/{name:segment}/home-limit", status_code=204)
@has_long_store_calls
async def remove_user_limit(request: Request, user: LimitedUser, limiting: HomeLimiting) -> Response:
    """Remove the limit that was set for a user. Those of groups and settings count again."""
    return _remove(request, user, limiting)


@router.get("/groups/{name:segment}/home-limit", response_model=schemas.HomeLimit)
@has_long_store_calls
async def read_group_limit(group: LimitedGroup, limiting: HomeLimiting) -> Response:
    """Return how large the homes of a group's members may be; null also where the group says nothing of it."""
    return _answer(group, limiting)


@router.put("/groups/{name:segment}/home-limit", response_model=schemas.HomeLimit)
@has_long_store_calls
async def set_group_limit(
    request: Request, group: LimitedGroup, body: requests.HomeLimit, limiting: HomeLimiting
) -> Response:
    """Set how large the homes of a group's members may be, in place of what the settings say of the group."""
    return _set(request, group, body.size, limiting)


@router.delete("/groups/{name:segment}/home-limit", status_code=204)
@has_long_store_calls
async def remove_group_limit(request: Request, group: LimitedGroup, limiting: HomeLimiting) -> Response:
    """Remove the limit that was set for a group. That of the settings counts again."""
    return _remove(request, group, limiting)


def _answer(whose: User | GroupSummary, limiting: HomeLimiting) -> Response:
    found = limiting.standing(whose)
    return JSONResponse({"size": found.size, "is_set": found.is_set})


def _set(request: Request, whose: User | GroupSummary, size: int | None, limiting: HomeLimiting) -> Response:
    limiting.put(whose, size)
    record(request, Act.HOME_LIMIT_SET, whose.name, limit=written_limit(size))
    return _answer(whose, limiting)


def _remove(request: Request, whose: User | GroupSummary, limiting: HomeLimiting) -> Response:
    limiting.remove(whose)
    record(request, Act.HOME_LIMIT_REMOVED, whose.name)
    return Response(status_code=204)

"""Handlers are given what their signatures say."""

import inspect
from typing import get_args, get_origin

import pytest
from fastapi import params

from functions.api import dependencies
from functions.api.app import ROUTERS
from functions.api.dependencies import HubPart
from functions.api.route_class import HubRoute
from hubless.bootstrap.hub import Hub

PARTS = {name: alias for name, alias in vars(dependencies).items() if get_args(alias) and name != "WholeHub"}


def promised(alias):
    kind = get_args(alias)[0]
    return (
        kind.__forward_arg__.rpartition(".")[2] if hasattr(kind, "__forward_arg__") else str(get_origin(kind).__name__)
    )


@pytest.mark.parametrize("name", PARTS)
def test_each_alias_gives_the_part_of_the_hub_that_it_names(name):
    (depends,) = [one for one in get_args(PARTS[name])[1:] if isinstance(one, params.Depends)]
    assert isinstance(depends.dependency, HubPart)
    member = inspect.getattr_static(Hub, depends.dependency.name, None)
    if member is None:  # set by the constructor
        assert depends.dependency.name == "settings"
        return
    getter = getattr(member, "func", None) or member.fget
    assert getter.__annotations__["return"].strip('"').partition("[")[0] == promised(PARTS[name])


def test_every_route_is_built_from_its_signature():
    routes = [route for router in ROUTERS for route in router.routes]
    assert len(routes) > 100
    for route in routes:
        assert type(route) is HubRoute
        assert route.app is not None  # builds it

"""Profiles: the kinds of server that an admin offers."""

from collections.abc import Mapping
from dataclasses import field

from hubless.domain.idleness import IdlePolicy
from hubless.domain.values import value


@value
class Profile:
    """Image or command, size and limits of a server; users choose a profile by its *name* in `user_options`."""

    name: str
    display_name: str = ""
    description: str = ""
    command: tuple[str, ...] = ("jupyterhub-singleuser",)
    args: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)
    default_url: str = "/lab"
    image: str = ""  # the container image; empty for the hub's default
    memory_bytes: int | None = None
    cpus: float | None = None
    idle_policy: IdlePolicy = field(default_factory=IdlePolicy)

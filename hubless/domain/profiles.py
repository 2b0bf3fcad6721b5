"""Profiles: the kinds of server that an admin offers."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field
from typing import Any

from hubless.domain.bounds import MAX_OPTIONS
from hubless.domain.errors import InvalidRequestError, OptionRefusedError
from hubless.domain.idleness import IdlePolicy
from hubless.domain.profile_options import Access, Chosen, Option
from hubless.domain.spares import COLD, Warmth
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value

PROFILE = "profile"  # the key of the profile's name in `user_options`
RESERVED_OPTION = "__jupyterhub_"  # JupyterHub 6.1 reserves keys with this prefix


@value
class Profile:
    """Image or command, size and limits of a server; users choose a profile by its *name* in `user_options`."""

    name: str
    display_name: str = ""
    description: str = ""  # Markdown
    command: tuple[str, ...] = ("jupyterhub-singleuser",)
    args: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)
    default_url: str = "/lab"
    image: str = ""  # the container image; empty for the hub's default
    memory_bytes: int | None = None
    cpus: float | None = None
    idle_policy: IdlePolicy = field(default_factory=IdlePolicy)
    gpus: int = 0
    storage_bytes: int | None = None  # of the container's own disk, on ECS
    price_per_hour: float | None = None  # in the hub's currency
    picture: str = ""  # the file of a picture, or empty
    is_default: bool = False
    access: Access = field(default_factory=Access)
    options: tuple[Option, ...] = ()
    warmth: Warmth = COLD

    @property
    def title(self) -> str:
        """Return the profile's name for people."""
        return self.display_name or self.name


def offered(profiles: Mapping[str, Profile], owner: User | None) -> dict[str, Profile]:
    """Return those of *profiles* that *owner* may choose, the default one first."""
    allowed = [(name, profile) for name, profile in profiles.items() if profile.access.allows(owner)]
    return dict(sorted(allowed, key=lambda one: not one[1].is_default))


def check_options(options: Mapping[str, Any]) -> None:
    """Check that a server's record can hold *options*, its `user_options`.

    Raises:
        InvalidRequestError: when they are too long, or have a key that JupyterHub reserves.
    """
    if any(str(key).startswith(RESERVED_OPTION) for key in options):
        raise InvalidRequestError(
            _("user_options may not have keys that begin with %(reserved_option)s", reserved_option=RESERVED_OPTION)
        )
    if len(repr(options)) > MAX_OPTIONS:
        raise InvalidRequestError(
            _("user_options may be at most %(max_options)s characters long", max_options=MAX_OPTIONS)
        )


def choose(
    profiles: Mapping[str, Profile], options: Mapping[str, Any], owner: User | None, *, was_asked: bool = False
) -> Chosen:
    """Return what *options*, a server's `user_options`, choose of *profiles*; keys that are no options mean nothing.

    With *owner* None nobody's permission is asked. Nor is that of an owner who *was_asked* at the request of a start;
    where they chose nothing, their own default counts, as it did then.

    Raises:
        InvalidRequestError: when the owner has no such profile.
        OptionRefusedError: naming the option that is wrong.
    """
    allowed = offered(profiles, None if was_asked else owner)
    if not allowed:
        raise InvalidRequestError("No profile is offered to you. Ask an admin to allow you one")
    name = options.get(PROFILE) or next(iter(allowed))
    if not isinstance(name, str) or name not in allowed:
        raise InvalidRequestError(
            _(
                "No such profile: %(name)s; choose one of %(profiles)s",
                name=repr(str(name)[:60]),
                profiles=", ".join(allowed),
            )
        )
    found = Chosen(allowed[name])
    for option in allowed[name].options:
        try:
            found = option.apply(found, options, owner)
        except OptionRefusedError:
            if not was_asked:
                raise
            found = option.apply(found, options, None)
    return found.without_doubles()


def by_default(profile: Profile) -> Profile:
    """Return *profile* as it is started for whoever chooses nothing: options have defaults, which change it too."""
    found = Chosen(profile)
    for option in profile.options:
        with suppress(OptionRefusedError):  # it has no default: nobody starts the profile without choosing
            found = option.apply(found, {}, None)
    return found.without_doubles().profile

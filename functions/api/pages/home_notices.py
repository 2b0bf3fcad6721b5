"""What pages say of the size of a user's home."""

from typing import Annotated, Any

from fastapi import Depends

from functions.api import dependencies
from functions.api.serializers import instant
from hubless.domain import durations
from hubless.domain.home_limits import is_nearly_full
from hubless.domain.home_usage import HomeUsage
from hubless.domain.limits import size
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value

_LEAST = 2**20  # bytes that `size` tells from none


def size_in_words(usage: HomeUsage | None) -> str:
    """Return the size of a home, such as `1.5 GiB`; empty if nobody has measured it."""
    return "" if usage is None else bytes_in_words(usage.size, is_whole=usage.is_whole)


def bytes_in_words(number: int, *, is_whole: bool) -> str:
    """Return a size, such as `1.5 GiB`, or that it is at least so large if not all of it is known."""
    if not is_whole:
        return _("at least %(size)s", size=size(number))
    return size(number) if number >= _LEAST else _("less than %(size)s", size=size(_LEAST))


@value
class _HomeNotice:
    """Tells a user how large the home is, and whether that is too much."""

    home_usage: dependencies.HomeUsage
    limiting: dependencies.HomeLimiting

    def __call__(self, user: User) -> dict[str, Any] | None:
        """Return what a page shows; None if nothing is known."""
        usage = self.home_usage.get_many([user.id]).get(user.id)
        if usage is None:
            return None
        limit, overrun = self.limiting.of([user])[user.id], self.limiting.limits.overrun
        return {
            "size": size_in_words(usage),
            "limit": "" if limit is None else size(limit),
            "is_over": usage.exceeds(limit),
            "is_nearly_full": is_nearly_full(usage, limit),
            "overrun": None if overrun is None else durations.in_words(overrun),
            "measured": instant(usage.measured_at),
        }


async def _home_notice(home_usage: dependencies.HomeUsage, limiting: dependencies.HomeLimiting) -> _HomeNotice:
    return _HomeNotice(home_usage, limiting)


HomeNotice = Annotated[_HomeNotice, Depends(_home_notice)]

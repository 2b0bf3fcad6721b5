"""Homes: their measurement, and the store of what was measured."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from hubless.domain.home_usage import HomeUsage
from hubless.domain.values import value


@value
class HomeSize:
    """What a walk through a home has counted so far: bytes on disk, and whether it has left anything out."""

    size: int = 0
    is_whole: bool = True


class Homes(Protocol):
    """The homes of users, where this process can read them."""

    def walk(self, owner_id: str, task: str | None) -> Iterator[HomeSize] | None:
        """Measure the owner's home bit by bit: each step takes a moment, and the last one has the whole size.

        *task* is one of the owner's tasks, which may know of a home elsewhere. Return None if there is no home.
        """
        ...


class HomeUsageStore(Protocol):
    """Stores the last measurement of each home. It goes with its user."""

    def put(self, usage: HomeUsage) -> None:
        """Replace the user's measurement; do nothing if the user does not exist."""
        ...

    def get_many(self, owner_ids: Iterable[str]) -> dict[str, HomeUsage]:
        """Return the measurements that exist, by owner, in one round trip."""
        ...

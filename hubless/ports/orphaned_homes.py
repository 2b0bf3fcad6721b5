"""Homes of removed users: the store of what is known of them, and the folders themselves."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from hubless.domain.orphaned_homes import HomeTask, OrphanedHome
from hubless.domain.users import User
from hubless.ports.home_usage import HomeSize


class OrphanedHomeStore(Protocol):
    """Stores what is known of the homes of removed users. `UserStore.delete` adds one in the same transaction."""

    def user_names(self, ids: Iterable[str]) -> Mapping[str, str]:
        """Return the names of those users of *ids* that exist, by id."""
        ...

    def all(self) -> list[OrphanedHome]:
        """Return all, the last removed first; those without a time at the end."""
        ...

    def get(self, owner_id: str) -> OrphanedHome | None:
        """Return one, or None."""
        ...

    def note(self, owner_ids: Iterable[str]) -> None:
        """Add those that are neither known nor homes of users; nothing is known of them but the id."""
        ...

    def measured(self, owner_id: str, size: HomeSize, at: datetime) -> None:
        """Note the size of one; do nothing if it is not known any more."""
        ...

    def begin(self, owner_id: str, task: HomeTask, receiver_id: str = "") -> bool:
        """Note that *task* begins with one with which nothing is being done; say whether that was so."""
        ...

    def progress(self, owner_id: str, files: int) -> None:
        """Note how many files the task has done."""
        ...

    def fail(self, owner_id: str, why: str) -> None:
        """Note that the task has failed: nothing is being done with the home any more."""
        ...

    def forget(self, owner_id: str) -> None:
        """Remove one; do nothing if it is not known."""
        ...


class HomeFolders(Protocol):
    """The folder of homes, one for each owner's id."""

    def owner_ids(self) -> set[str]:
        """Return the ids of all owners who have a home.

        Raises:
            OSError: when the folder of homes cannot be read.
        """
        ...

    def exists(self, owner_id: str) -> bool:
        """Say whether this owner has a home."""
        ...

    def path(self, owner_id: str) -> str:
        """Return where this owner's home is, for people."""
        ...

    def link_names(self, names: Mapping[str, str]) -> None:
        """Have one link to each of these homes that is called like its owner, and no other; *names* are by id.

        Raises:
            OSError: when the links cannot be written.
        """
        ...

    def work(self) -> AbstractContextManager[None]:
        """Return a context in which no other process works on homes; the caller waits for it."""
        ...

    def walk(self, owner_id: str) -> Iterator[HomeSize]:
        """Measure a home bit by bit; the last step has the whole size."""
        ...

    def delete(self, owner_id: str) -> Iterator[int]:
        """Delete a home bit by bit, and yield how many files are gone; go on with one that is partly gone.

        Raises:
            HomeTaskError: when something cannot be deleted.
        """
        ...

    def give(self, owner_id: str, name: str, to: User) -> str:
        """Move a home into a new folder of the home of *to*, to whom the files belong from then on; return its name.

        *name* is what the folder is named after. A home that is not there any more was moved before: return "".

        Raises:
            HomeTaskError: when it cannot be moved.
        """
        ...

"""Homes by name, and what becomes of the files of removed users."""

import logging
from collections.abc import Iterator

from hubless.domain.errors import HomeTaskError, InvalidRequestError, IsolationError, LaunchFailedError
from hubless.domain.orphaned_homes import HomeTask, OrphanedHome, named
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.home_usage import HomeSize
from hubless.ports.orphaned_homes import HomeFolders, OrphanedHomeStore
from hubless.ports.users import UserStore

logger = logging.getLogger(__name__)

_NOTE_EVERY = 1000  # files


@value
class HomeKeeping:
    """Keeps the folder of homes in step with the store, and does what admins want done with files of removed users.

    What the store says is the truth, and each call makes the folder follow it. So a crash between two writes is made
    good by the next call.
    """

    store: OrphanedHomeStore
    folders: HomeFolders
    users: UserStore
    clock: Clock

    def keep(self) -> None:
        """Have the links by name follow the users, and the list of orphaned homes follow the folder.

        Raises:
            OSError: when the folder cannot be read or written.
        """
        # In this order: a folder whose owner is not among the users, who are read later, has lost its owner.
        found = self.folders.owner_ids()
        names = self.store.user_names(found)
        if not found:
            return  # a new hub, or a disk that is not mounted: what was noted stays
        self.folders.link_names(names)
        self.store.note(found - names.keys())
        for home in self.store.all():
            if home.owner_id not in found and home.task is HomeTask.NONE and not self.folders.exists(home.owner_id):
                self.store.forget(home.owner_id)

    def all(self) -> list[OrphanedHome]:
        """Return the homes of removed users, the last removed first."""
        return self.store.all()

    def find(self, wanted: str) -> OrphanedHome:
        """Return the home of the removed user with this name or id.

        Raises:
            NotFoundError: when there is none.
            InvalidRequestError: when several had the name.
        """
        return named(self.store.all(), wanted)

    def begin(self, home: OrphanedHome, task: HomeTask, to: User | None = None) -> None:
        """Note what is to be done with a home; `work` does it. Only the first of two who ask at once is heard.

        Raises:
            InvalidRequestError: when something else is being done with it, or it is not there any more.
        """
        if not self.store.begin(home.owner_id, task, to.id if to is not None else ""):
            raise InvalidRequestError(_("These files are being moved or deleted already, or are gone. Look again."))

    def measure(self) -> Iterator[None]:
        """Measure the homes whose size nobody knows, in small steps; the caller pauses between them."""
        for home in self.store.all():
            if home.size is None and home.task is HomeTask.NONE:
                found = HomeSize(0, is_whole=False)
                for size in self.folders.walk(home.owner_id):
                    found = size
                    yield
                self.store.measured(home.owner_id, found, self.clock.now())

    def work(self) -> Iterator[None]:
        """Do what is to be done, in small steps; who stops in the midst goes on with the next call."""
        for home in self.store.all():
            if home.task is not HomeTask.NONE:
                with self.folders.work():
                    yield from self._do(home.owner_id)

    def _do(self, owner_id: str) -> Iterator[None]:
        home = self.store.get(owner_id)
        if home is None or home.task is HomeTask.NONE:
            return  # another process did it meanwhile
        if self.users.get(owner_id) is not None:
            self.store.forget(owner_id)  # the database is a copy of earlier: these files have an owner
            return
        try:
            if home.task is HomeTask.GIVE:
                self._give(home)
            else:
                yield from self._delete(home)
        except (HomeTaskError, IsolationError, LaunchFailedError) as failed:
            logger.warning("cannot %s the files of %s: %s", home.task.value, owner_id, failed.message)
            self.store.fail(owner_id, failed.message)
        else:
            self.store.forget(owner_id)

    def _give(self, home: OrphanedHome) -> None:
        receiver = self.users.get(home.receiver_id)
        if receiver is None:
            raise HomeTaskError("The user who was to get the files was removed meanwhile.")
        folder = self.folders.give(home.owner_id, home.name, receiver)
        logger.info("moved the files of %s into the folder %s of %s", home.owner_id, folder, receiver.id)

    def _delete(self, home: OrphanedHome) -> Iterator[None]:
        noted = 0
        for files in self.folders.delete(home.owner_id):
            if files - noted >= _NOTE_EVERY:
                self.store.progress(home.owner_id, files)
                noted = files
            yield

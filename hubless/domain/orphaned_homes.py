"""The files of removed users: what the hub knows of them, and what an admin lets become of them."""

from datetime import datetime
from enum import StrEnum

from hubless.domain.errors import InvalidRequestError, NotFoundError
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value


class HomeTask(StrEnum):
    """What is being done with a home."""

    NONE = ""
    GIVE = "give"
    DELETE = "delete"


@value
class OrphanedHome:
    """The home of a user who was removed.

    Args:
        owner_id: the removed user's id, which names the folder.
        name: the name that the user had; empty if nobody noted it.
        removed_at: when the user was removed; None if nobody noted it.
        size: bytes on disk; None before the first measurement.
        is_whole: whether all of it was measured; if not, it is at least that large.
        task: what is being done with it.
        receiver_id: the id of the user who gets the files, for `HomeTask.GIVE`.
        progress: files that the task has done.
        failure: why the last task failed, in English; empty if none did.
    """

    owner_id: str
    name: str = ""
    removed_at: datetime | None = None
    size: int | None = None
    is_whole: bool = True
    task: HomeTask = HomeTask.NONE
    receiver_id: str = ""
    progress: int = 0
    failure: str = ""


def named(homes: list[OrphanedHome], wanted: str) -> OrphanedHome:
    """Return the one of *homes* whose former owner had the name or id *wanted*.

    Raises:
        NotFoundError: when there is none.
        InvalidRequestError: when several had that name, with their ids.
    """
    found = [one for one in homes if one.owner_id == wanted] or [one for one in homes if one.name == wanted]
    if not found:
        raise NotFoundError("Files of the removed user", wanted)
    if len(found) > 1:
        ids = ", ".join(one.owner_id for one in found)
        raise InvalidRequestError(
            _("Several removed users were called %(name)s. Name the files by their id: %(ids)s", name=wanted, ids=ids)
        )
    return found[0]

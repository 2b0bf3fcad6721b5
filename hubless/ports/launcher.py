"""The launcher: it runs servers, as local processes or as Fargate tasks."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import field
from typing import Protocol

from hubless.domain.limits import LimitReached
from hubless.domain.profiles import Profile
from hubless.domain.values import value

SECRET_NAMES = frozenset({"JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN"})  # of each launch; profiles cannot set them


@value
class Launch:
    """Everything that a launcher needs.

    *secrets* never appear in logs, in arguments or in lists of tasks. Their names are among `SECRET_NAMES`. *chosen*
    are variables that say what the owner chose: no variables of the profile, nor of the hub, have their names.
    """

    launch_id: str
    server_id: str
    owner_id: str
    owner_name: str
    server_name: str
    prefix: str  # URL prefix, percent-encoded, slashes at both ends
    profile: Profile
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)
    secrets: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    chosen: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)


@value
class Preparation:
    """What a launcher may make before a launch: all that launches of *profile* for that owner have in common."""

    owner_id: str
    profile: Profile


@value
class TaskPending:
    """The task exists and has no address yet."""


@value
class TaskRunning:
    """The task runs, and will listen on *address* (ip:port).

    Args:
        limits_reached: the limits that it has run into.
        is_frozen: whether it exists and does not run on, so that nobody gets an answer; None while that is not sure.
    """

    address: str
    limits_reached: tuple[LimitReached, ...] = ()
    is_frozen: bool | None = False


@value
class TaskStopped:
    """The task has ended or never existed; *why* completes «The server …». *log_tail* has the last lines of its log."""

    why: str
    log_tail: tuple[str, ...] = ()


TaskStatus = TaskPending | TaskRunning | TaskStopped


@value
class Task:
    """A task, as the launcher lists it."""

    task: str
    launch_id: str
    status: TaskStatus


@value
class TaskEvent:
    """A change of a task that the launcher reports by itself. Events may be lost, repeated, late or out of order."""

    task: str
    server_id: str
    launch_id: str
    status: TaskStatus


class Launcher(Protocol):
    """Starts and stops tasks."""

    @property
    def name(self) -> str:
        """Return the name of this kind of launcher, as `/hub/api/info` shows it."""
        ...

    def is_prepared(self, wanted: Preparation) -> bool:
        """Say whether nothing is to be made before a launch. It may be wrong about what was made just now.

        Raises:
            LaunchFailedError: when no launch of the profile can succeed.
            CapacityUnavailableError: when a later retry may succeed.
        """
        ...

    def unprepared(self, wanted: Iterable[Preparation]) -> list[Preparation]:
        """Return those of *wanted* that `prepare` must make, without one round trip each; none twice.

        It leaves out those for which no launch can succeed, and those that would use up what starts need.

        Raises:
            CapacityUnavailableError: when a later retry may succeed.
        """
        ...

    def prepare(self, wanted: Preparation) -> None:
        """Make what launches need. Idempotent, but a call costs a slot of the launcher's rate limit for preparations.

        Raises:
            LaunchFailedError: when a retry does not help.
            CapacityUnavailableError: when a later retry may succeed.
        """
        ...

    def launch(self, launch: Launch) -> str:
        """Start a task and return its name. Idempotent: the same launch id returns the same task and starts no other.

        A launch that is not prepared is prepared first, without regard to the rate limit for preparations.

        Raises:
            LaunchFailedError: when a retry does not help.
            CapacityUnavailableError: when a later retry may succeed.
        """
        ...

    def describe(self, task: str) -> TaskStatus:
        """Return the status of the task."""
        ...

    def describe_many(self, tasks: Iterable[str]) -> dict[str, TaskStatus]:
        """Return the status of each task by name, without one round trip per task."""
        ...

    def stop(self, task: str, *, force: bool = False) -> None:
        """Ask the task to end, or kill it with *force*; return without waiting. A task that has ended is no error.

        A launcher that kills its tasks some time after it asked them to end may ignore *force*.
        """
        ...

    def tasks(self) -> list[Task]:
        """Return every task of this hub, whether the store knows it or not.

        A launch that left files behind may be listed without a task, as stopped: `forget` removes them.
        """
        ...

    def forget(self, task: str) -> None:
        """Remove what a stopped task left behind, except its log; do nothing if the task may still run."""
        ...

    def garbage_collect(self, offered: Iterable[Profile]) -> int:
        """Remove what was made for profiles that are no longer *offered*, and return how many resources were removed.

        A call removes a few resources that no launch has used for a long time. A launch that uses one at that moment
        succeeds.
        """
        ...

    def remove_owners(self, existing: Callable[[Collection[str]], Collection[str]]) -> int:
        """Remove what only launches of owners who are gone need, except their files; return how many resources.

        A call removes a few. It asks *existing* which of some owner ids are those of users.
        """
        ...

"""What runs servers: processes here, Fargate tasks in the cloud."""

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Protocol

from hubless.domain.profiles import Profile
from hubless.domain.values import value


@value
class Launch:
    """All that a launcher must know. *secrets* never reach logs, arguments or anything that lists tasks."""

    launch_id: str
    server_id: str
    owner_id: str
    owner_name: str
    server_name: str
    prefix: str  # URL prefix, percent-encoded, slashes at both ends
    profile: Profile
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)
    secrets: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)


@value
class TaskPending:
    """The task exists but has no address yet."""


@value
class TaskRunning:
    """The task runs and will listen on *address* (ip:port)."""

    address: str


@value
class TaskStopped:
    """The task ended or never was; *why* in words, and the last lines it said."""

    why: str
    log_tail: tuple[str, ...] = ()


TaskStatus = TaskPending | TaskRunning | TaskStopped


@value
class Task:
    """A task that exists, as the launcher lists it."""

    task: str
    launch_id: str
    status: TaskStatus


@value
class TaskEvent:
    """What the launcher's side tells by itself of a task. Events get lost, come twice, late and out of order."""

    task: str
    server_id: str
    launch_id: str
    status: TaskStatus


class Launcher(Protocol):
    """Starts and stops tasks."""

    @property
    def name(self) -> str:
        """Return what kind of launcher this is, for people."""
        ...

    def launch(self, launch: Launch) -> str:
        """Start a task and return its name. The same launch id again returns the same task and starts nothing.

        Raises:
            LaunchFailedError: when trying again cannot help.
            CapacityUnavailableError: when it may.
        """
        ...

    def describe(self, task: str) -> TaskStatus:
        """Say how the task is."""
        ...

    def describe_many(self, tasks: Iterable[str]) -> dict[str, TaskStatus]:
        """Say how each of the tasks is; no round trip for each."""
        ...

    def stop(self, task: str, *, force: bool = False) -> None:
        """Ask the task to end, or end it at once with *force*; returns without waiting. A task that is gone is no error.

        A launcher whose tasks are killed by themselves some time after they are asked may do the same for both.
        """
        ...

    def tasks(self) -> list[Task]:
        """Return every task of this hub that exists, known to the store or not, and how it is.

        A launch that left something behind may be among them without a task, as gone: `forget` takes that away.
        """
        ...

    def forget(self, task: str) -> None:
        """Remove what a gone task left behind (its log excepted); nothing when it is still to run."""
        ...

    def garbage_collect(self, offered: Iterable[Profile]) -> int:
        """Put away what was made for profiles that are no longer *offered*, and return how many things went.

        Only what nothing has been launched from for long goes, a little a call; a launch from it at that very moment
        succeeds all the same.
        """
        ...

"""Limits of memory, processors and processes for each launch, by the strongest means that works on this machine."""

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from hubless.adapters.processes import cgroups, limit_record, process_tree
from hubless.adapters.processes.launch_folder import LOG, LOG_LIMIT, bound_file
from hubless.adapters.processes.limit_means import Means
from hubless.adapters.processes.limit_record import LimitRecord
from hubless.adapters.processes.process_tree import ProcessTree
from hubless.domain.errors import LaunchFailedError
from hubless.domain.limits import LimitReached, Resource
from hubless.domain.profiles import Profile

logger = logging.getLogger(__name__)


class ResourceLimits:
    """Holds the limits of launches.

    Each launch has a record in its folder, so that a hub that starts later knows the limits of servers that it adopts,
    even if it would choose other means itself.
    """

    def __init__(self, servers: Path, means: Means, *, max_processes: int = 0, one_uid_each: bool = False) -> None:
        """Hold the limits of the launches whose folders are below *servers*.

        Args:
            servers: the folder of all launches.
            means: what holds limits on this machine.
            max_processes: how many processes and threads a launch may have; 0 for no limit.
            one_uid_each: whether no two owners' servers share a user id, so that RLIMIT_NPROC can count for one.
        """
        self._servers = servers
        self._means = means
        self._max_processes = max_processes or None
        self._one_uid_each = one_uid_each
        self._tree = ProcessTree(servers)

    @property
    def means(self) -> Means:
        """Return what holds the limits of new launches."""
        return self._means

    @property
    def holds(self) -> frozenset[Resource]:
        """Return the resources whose limits are held."""
        return self._means.holds

    def prepare(self, launch_id: str, profile: Profile) -> None:
        """Write down the limits of a launch whose folder exists, and make its cgroups. Idempotent.

        Raises:
            LaunchFailedError: when the kernel refuses the limits.
        """
        groups = self._means.control_groups
        record = LimitRecord(
            profile.memory_bytes, self._max_processes, profile.cpus, groups.of(launch_id) if groups else {}
        )
        limit_record.write(self._servers / launch_id, record)  # first, so that whatever is made can be removed again
        try:
            cgroups.make(record)
        except OSError as error:
            raise LaunchFailedError(
                f"The hub cannot limit the server's resources ({error.strerror}: {error.filename})."
                " An admin can restart the hub: it looks again for what works on this machine."
            ) from error

    def wrapper(self, launch_id: str) -> list[str]:
        """Return what the launch's command line begins with. It sets the limits and becomes the rest."""
        record = limit_record.read(self._servers / launch_id) or LimitRecord()
        if record.cgroups:
            return cgroups.join_command(record.cgroups)
        return process_tree.nproc_command(record.processes) if self._one_uid_each else []

    def cgroup_files(self, launch_id: str) -> list[str]:
        """Return the files to which a process writes its id to be limited with the launch."""
        return cgroups.join_files((limit_record.read(self._servers / launch_id) or LimitRecord()).cgroups)

    def process_limit(self, launch_id: str) -> int | None:
        """Return RLIMIT_NPROC for the launch; None where something else limits its processes, or nothing."""
        record = limit_record.read(self._servers / launch_id) or LimitRecord()
        return record.processes if self._one_uid_each and not record.cgroups else None

    def reached(self, launch_id: str) -> tuple[LimitReached, ...]:
        """Return the limits that the launch has reached."""
        record = limit_record.read(self._servers / launch_id)
        return record.limits_reached(_counts(record)) if record else ()

    def exceeded(self, launch_id: str) -> str | None:
        """Return the limits for which processes of the launch were ended, in words; None if there is none."""
        record = limit_record.read(self._servers / launch_id) or LimitRecord()
        reached = self.reached(launch_id)
        if record.cgroups:  # the kernel ends nothing for the number of processes: it refuses new ones
            reached = tuple(one for one in reached if one.resource is Resource.MEMORY)
        return limit_record.in_words(reached) or None

    def release(self, launch_id: str) -> None:
        """End what is left of a launch that is over, and remove its cgroups."""
        if record := limit_record.read(self._servers / launch_id):
            cgroups.remove(record.cgroups)

    def watch(self) -> None:
        """Enforce the limits that no cgroup holds, and bound logs."""
        self._bound_logs()
        self._tree.watch()

    def remove_forgotten(self) -> None:
        """Remove cgroups of launches that were forgotten; what does not end at once goes with a later call."""
        if groups := self._means.control_groups:
            for launch_id in groups.launches():
                if not (self._servers / launch_id).is_dir():
                    logger.info("removing the cgroup of launch %s, which is over", launch_id)
                    cgroups.remove(groups.of(launch_id))

    def _bound_logs(self) -> None:
        with suppress(FileNotFoundError), os.scandir(self._servers) as entries:
            for entry in entries:
                with suppress(OSError):  # the disk fails: the next look tries again
                    bound_file(f"{entry.path}/{LOG}", LOG_LIMIT)


def _counts(record: LimitRecord) -> Mapping[str, int]:
    return cgroups.counts(record.cgroups) if record.cgroups else record.reached

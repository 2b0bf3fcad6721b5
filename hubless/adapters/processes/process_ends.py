"""Tells when servers' processes end, without a look at each of them: the kernel says it."""

import os
import select
from pathlib import Path

from hubless.adapters.processes.launch_folder import LaunchFolder


class ProcessEnds:
    """Follows the processes of launches by descriptors (pidfd). It may miss one, so somebody must look now and then."""

    def __init__(self, servers: Path) -> None:
        """Follow the launches whose folders are below *servers*."""
        self._servers = servers
        self._ends = select.epoll()
        self._followed: dict[int, str] = {}  # the launch of each descriptor
        self.is_told = True  # whether the kernel tells of ends

    def fileno(self) -> int:
        """Return what is readable once a process that is followed has ended."""
        return self._ends.fileno()

    def follow(self) -> None:
        """Follow each launch whose process is known; those that are followed already cost nothing."""
        known = set(self._followed.values())
        for folder in self._servers.iterdir() if self._servers.is_dir() else ():
            if folder.name not in known and (pid := LaunchFolder(folder).living_pid()) is not None:
                self._add(folder.name, pid)

    def _add(self, launch_id: str, pid: int) -> None:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return  # it has just ended
        except (OSError, AttributeError):  # Linux before 5.3 or a Python built for it, or no descriptor is left
            self.is_told = False
            return
        self._followed[descriptor] = launch_id
        self._ends.register(descriptor, select.EPOLLIN)

    def take(self) -> bool:
        """Say whether any of the processes has ended since the last call."""
        ended = self._ends.poll(0)
        for descriptor, _ in ended:
            self._ends.unregister(descriptor)
            del self._followed[descriptor]
            os.close(descriptor)
        return bool(ended)

    def close(self) -> None:
        """Follow none any more."""
        for descriptor in self._followed:
            os.close(descriptor)
        self._followed.clear()
        self._ends.close()

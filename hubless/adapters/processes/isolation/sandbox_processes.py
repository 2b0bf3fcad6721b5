"""The processes of a running sandbox: its monitor, its first process (its pid 1), the server, and all others."""

import signal
from contextlib import suppress
from pathlib import Path

import psutil

from hubless.adapters.processes.launch_folder import LaunchFolder

SERVER_IN_SANDBOX = 2  # its process id as the sandbox sees it


def first_of(folder: LaunchFolder) -> int:
    """Return the sandbox's first process, which its monitor has reported.

    Raises:
        ProcessLookupError: when it has ended.
    """
    first = folder.sandbox_report().get("child-pid")
    if first is None:
        raise ProcessLookupError("the sandbox has ended")
    return first


def server_of(folder: LaunchFolder) -> int | None:
    """Return the process id of a launch's server, in a sandbox or without one; None if there is none yet."""
    if (forked := folder.server()) is not None:
        return forked
    first = folder.sandbox_report().get("child-pid")
    if first is None:
        return folder.pid()
    with suppress(OSError):
        inside = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        return next((int(child) for child in inside if _id_inside(int(child)) == SERVER_IN_SANDBOX), None)
    return None


def terminate(folder: LaunchFolder, monitor: int) -> None:
    """Send SIGTERM to the server, which the monitor does not pass on; end a sandbox that has no server yet."""
    if (server := _server(folder, monitor)) is None:
        kill(folder, monitor)
        return
    with suppress(psutil.NoSuchProcess):
        server.send_signal(signal.SIGTERM)
        server.send_signal(signal.SIGCONT)  # a process that is stopped gets no other signal before


def kill(folder: LaunchFolder, monitor: int) -> None:
    """Kill every process of the sandbox: the kernel does that when its first process dies."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(monitor)
        for member in [*process.children(recursive=True), process]:
            with suppress(psutil.NoSuchProcess):
                member.kill()  # with the sandbox's first process all others end, a forked server too
    kill_rest(folder)


def kill_rest(folder: LaunchFolder) -> None:
    """Kill what still runs in the sandbox after its monitor has ended, such as kernels that their server left."""
    first = folder.sandbox_report().get("child-pid")
    if first is None:
        return
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(first)
        # The system gives process ids again; only the sandbox's own processes name this launch's folder.
        if str(folder.users) in process.cmdline():
            process.kill()


def _server(folder: LaunchFolder, monitor: int) -> psutil.Process | None:
    if (forked := folder.server()) is not None:
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(forked)
    with suppress(psutil.NoSuchProcess):
        for first in psutil.Process(monitor).children():
            for child in first.children():
                if _id_inside(child.pid) == SERVER_IN_SANDBOX:
                    return child
    return None


def _id_inside(pid: int) -> int | None:
    """Return the process id that the process has in its own namespace."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    found = next((line for line in lines if line.startswith("NSpid:")), "")
    return int(found.split()[-1]) if found else None

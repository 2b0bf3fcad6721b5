"""A folder for all that the benchmark makes, and an end of all that it starts, whichever way it ends."""

import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path

import psutil

END_SECONDS = 10


@contextlib.contextmanager
def scratch():
    """Have temporary files made in one folder; at last kill what was started in there, and remove it.

    INT and TERM do both at once: threads that wait for a hub would hold up an end in order.
    """
    folder = Path(tempfile.mkdtemp(prefix="hubless-bench-"))
    folder.chmod(0o755)  # servers may be other users
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)  # processes inherit it, and so are found again

    def leave(number, _):
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        _end(folder)
        os._exit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        _end(folder)
        for number, handler in before.items():
            signal.signal(number, handler)


def started_in(folder):
    """Return the processes that run with the folder as their temporary one, or name it in their command."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_marked = process.environ().get("TMPDIR") == str(folder) or str(folder) in " ".join(process.cmdline())
            if is_marked and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _end(folder):
    """Kill until nothing is left: a supervisor may start a child anew in the midst."""
    while found := started_in(folder):
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(found, END_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)

"""What one process uses: memory, and time of processors; and whether it runs."""

import psutil

from hubless.adapters.processes import small_files


def memory(pid: int) -> int:
    """Return the bytes that a process uses, its proportional share (PSS); 0 if nobody can tell."""
    try:
        return int(psutil.Process(pid).memory_full_info().pss)
    except (psutil.Error, AttributeError):
        return 0


def cpu_seconds(pid: int) -> float:
    """Return the seconds of processors that a process has used, with those of children that it has waited for.

    Raises:
        psutil.Error: when it is not there any more.
    """
    times = psutil.Process(pid).cpu_times()
    of_children = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)  # not on each system
    return float(times.user + times.system + of_children)


def state_of(pid: int) -> str:
    """Return the state of a process or thread as the letter of proc_pid_stat(5); "" if it has ended."""
    try:
        return small_files.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""

"""What one process uses: memory, and time of processors."""

import psutil


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

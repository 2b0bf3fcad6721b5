"""What one process uses: memory, and time of processors; whether it runs, and since when."""

import os

import psutil

_TICKS = os.sysconf("SC_CLK_TCK")  # in a second
_TIMES = slice(11, 15)  # of itself and of its children, in ticks: places in what `stat` returns
_STATE, _THREADS, _START = 0, 17, 19
_LINE = 2048  # bytes, more than /proc/PID/stat can have


def memory(pid: int) -> int:
    """Return the bytes that a process uses, its proportional share (PSS); 0 if nobody can tell."""
    try:
        return int(psutil.Process(pid).memory_full_info().pss)
    except (psutil.Error, AttributeError):
        return 0


def cpu_seconds(pid: int) -> float:
    """Return the seconds of processors that a process has used, with those of children that it has waited for.

    Raises:
        ProcessLookupError: when it is not there any more.
    """
    return sum(map(int, _stat(pid)[_TIMES])) / _TICKS


def state_of(pid: int) -> str:
    """Return the state of a process or thread as the letter of proc_pid_stat(5); "" if it has ended."""
    try:
        return _stat(pid)[_STATE]
    except (OSError, IndexError):
        return ""


def start_of(pid: int) -> int | None:
    """Return when the process started, in the kernel's clock ticks; None if it has ended.

    Together with its id that tells the process from all others, even after the machine's clock was set.
    """
    try:
        facts = _stat(pid)
    except OSError:
        return None
    # A zombie with several threads is a process whose first thread has ended: the others live on.
    has_ended = facts[_STATE] == "X" or (facts[_STATE] == "Z" and int(facts[_THREADS]) <= 1)
    return None if has_ended else int(facts[_START])


def _stat(pid: int) -> list[str]:
    """Return what proc_pid_stat(5) lists after the name of the process, which may have blanks.

    Raises:
        OSError: when there is no such process or thread.
    """
    descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    try:
        line = os.read(descriptor, _LINE)  # the kernel gives all of it at once
    finally:
        os.close(descriptor)
    return line.decode(errors="replace").rpartition(")")[2].split()

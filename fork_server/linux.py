"""What Python has no functions for: capabilities, namespaces, and the command line that others see."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
from pathlib import Path

_PR_SET_DUMPABLE, _PR_SET_NAME, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 4, 15, 24, 38, 47
_PR_SET_CHILD_SUBREAPER, _PR_SET_PDEATHSIG = 36, 1
_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_LONGEST_NAME = 15  # bytes of a process's name (prctl(2))
_NAMESPACES = {"pid": 0x20000000, "cgroup": 0x02000000, "ipc": 0x08000000, "uts": 0x04000000}
_USERS = 0x10000000
_NS_GET_USERNS = 0xB701  # ioctl_ns(2): the user namespace that owns another
_MOUNTS = 0x00020000  # joined last: after that the names of the others are out of reach
_MADV_DONTNEED = 4
_ARGUMENTS_START = 45  # place of `arg_start` after a process's state in /proc/PID/stat (proc_pid_stat(5))

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def enter(process: int, *, has_user_namespace: bool) -> None:
    """Enter the namespaces of *process*. What this process forks then is in its process namespace, too.

    The user namespace that owns the others comes first, because it gives the right to enter them; the process's own,
    which may be one inside that, comes last (user_namespaces(7)).

    Raises:
        OSError: when it has ended, or the kernel refuses.
    """
    names = {**_NAMESPACES, "mnt": _MOUNTS}
    opened = [(os.open(f"/proc/{process}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC), flag) for name, flag in names.items()]
    if has_user_namespace:
        own = os.open(f"/proc/{process}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        owner = fcntl.ioctl(opened[0][0], _NS_GET_USERNS)
        opened.insert(0, (owner, _USERS))
        if not os.path.sameopenfile(own, owner):
            opened.append((own, _USERS))
    for descriptor, flag in opened:
        _checked(_libc.setns(descriptor, flag), "setns")
        os.close(descriptor)


def adopt_orphans() -> None:
    """Become the parent of all processes below this one whose parents end."""
    _checked(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl(PR_SET_CHILD_SUBREAPER)")


def end_with_parent() -> None:
    """Let the kernel kill this process when its parent ends."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")


def give_up_capabilities() -> None:
    """Give up every capability, and the ways to get one again: the bounding set, and programs that give more."""
    for capability in range(64):
        if _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            if ctypes.get_errno() == errno.EINVAL:
                break  # the kernel knows no more
            _checked(-1, "prctl(PR_CAPBSET_DROP)")
    _libc.prctl(_PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL, 0, 0, 0)  # before Linux 4.3 there were none
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")


def clear_capabilities() -> None:
    """Empty the effective, permitted and inheritable sets."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()
    _checked(_libc.capset(header, none), "capset")


def become_readable() -> None:
    """Give /proc/self to the new account, as a program that is executed does."""
    _checked(_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "prctl(PR_SET_DUMPABLE)")


def unmap_files() -> None:
    """Let go of the pages of files that are mapped and unchanged, such as the code of libraries.

    Whoever needs one again, here or in a forked process, finds it in the page cache. Nothing happens where the kernel
    does not say which mappings are unchanged.
    """
    try:
        lines = Path("/proc/self/smaps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    place, rights, file = "", "", ""
    for line in lines:
        name, *rest = line.split()
        if not name.endswith(":"):
            place, rights, file = name, rest[0], rest[3]
        elif name == "Anonymous:" and rest[0] == "0" and file != "0" and rights == "r-xp":
            start, end = (int(word, 16) for word in place.split("-"))
            _libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)


def set_title(words: list[str], *, name: str = "") -> None:
    """Let `ps` and `top` show these words as the command line, as far as the reserved place is large enough.

    The process's *name* is that of the script, which is the second word, unless another one is given.
    """
    facts = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    start, end = (int(word) for word in facts[_ARGUMENTS_START : _ARGUMENTS_START + 2])
    room = end - start - 2
    title = " ".join(words).encode(errors="surrogateescape")[:room]
    # The kernel shows the text up to its first zero if the last byte of the place is none (fs/proc/base.c).
    ctypes.memmove(start, title.ljust(end - start - 1, b"\0") + b" ", end - start)
    name = name or Path(words[1] if len(words) > 1 else words[0]).name
    encoded = name.encode(errors="surrogateescape")[:_LONGEST_NAME]
    _checked(_libc.prctl(_PR_SET_NAME, encoded, 0, 0, 0), "prctl(PR_SET_NAME)")

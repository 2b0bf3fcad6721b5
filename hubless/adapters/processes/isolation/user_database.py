"""The files passwd and group of a sandbox: those of the machine's own services, and the server's account."""

import os
from pathlib import Path

from hubless.adapters.processes.accounts import FIRST_USER_ID, Account

NOBODY = 65534  # the kernel's name for owners of files that a namespace does not know


def write(account: Account, users: Path, groups: Path) -> None:
    """Write *users* and *groups* for a server of *account*. Without its entry `whoami` and ssh fail."""
    uid = os.geteuid() if account.uid is None else account.uid
    gid = os.getegid() if account.gid is None else account.gid
    name = account.login_name
    of_services = [line for line in _lines("/etc/passwd") if _is_of_service(line, name, uid)]
    users.write_text("\n".join([f"{name}:x:{uid}:{gid}::{account.home}:{account.shell}", *of_services, ""]))
    wanted = {gid, *account.groups}
    others = [line for line in _lines("/etc/group") if _number(line) in wanted or _number(line) < FIRST_USER_ID]
    own = [] if any(_number(line) == gid for line in others) else [f"{name}:x:{gid}:"]
    groups.write_text("\n".join([*own, *(":".join([*line.split(":")[:3], ""]) for line in others), ""]))
    users.chmod(0o644)
    groups.chmod(0o644)


def _is_of_service(line: str, name: str, uid: int) -> bool:
    number = _number(line)
    return line.split(":", maxsplit=1)[0] != name and number != uid and (number < FIRST_USER_ID or number == NOBODY)


def _lines(file: str) -> list[str]:
    try:
        lines = Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.count(":") >= 3]  # noqa: PLR2004 name, password, id and the rest


def _number(line: str) -> int:
    """Return the uid of a line of passwd, or the gid of one of group."""
    text = line.split(":")[2]
    return int(text) if text.isdecimal() else FIRST_USER_ID

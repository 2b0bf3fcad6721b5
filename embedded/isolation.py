"""Prepares the database and chooses the isolation in a process of its own: the supervisor stays small."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from embedded.ipc import ChildConfig
from hubless.domain.errors import HublessError, IsolationError
from hubless.settings import Settings

SECONDS = 600.0  # for the copy of a large database too, before an upgrade
_NONE = "none"
_EVERYTHING = "everybody who has a server can read all users' files and the hub's secret, and become its admin"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The kind that works here, and why each stronger one does not.

    Args:
        name: the kind's.
        refused: the reason against each stronger kind.
        others: how many servers run with another kind.
        ended: how many servers of an earlier hub were ended, because root ran them.
        weak_limits: why the limits of control groups do not hold against a server's own program; None if they do.
        epoch: of the run that begins, as the database names it.
    """

    name: str
    refused: Mapping[str, str]
    others: int = 0
    ended: int = 0
    weak_limits: str | None = None
    epoch: str = ""


def choose(config: ChildConfig, lock: int) -> Chosen:
    """Return the kind that the settings name, or else the strongest; each is tried for real. *lock* is inherited.

    Before that the process makes the database ready for this run, and says so to standard error.

    Raises:
        IsolationError: when the named kind does not work here, or none does, or the database cannot be used.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "embedded.isolation"],
            input=json.dumps(asdict(config)),
            stdout=subprocess.PIPE,
            text=True,
            timeout=SECONDS,
            pass_fds=(lock,),
            check=True,
        )
    except subprocess.SubprocessError as error:
        raise IsolationError(f"The hub could not prepare its database and the isolation of servers: {error}") from None
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise IsolationError(answer["error"])
    return Chosen(**answer)


def lines(chosen: Chosen, settings: Settings) -> list[str]:
    """Return what `hubless up` says about the chosen kind."""
    said = [f"Isolation: {description(chosen.name, named=bool(settings.servers.isolation), uid=os.geteuid())}."]
    said += [f"  ({name} does not work here: {reason}.)" for name, reason in chosen.refused.items()]
    if chosen.weak_limits:
        said.append(
            f"  Resource limits do not hold against a user who wants to exceed them: {chosen.weak_limits}. See"
            " docs/settings.md, Resource limits on one machine."
        )
    if chosen.ended:
        said.append(
            f"  Ended {chosen.ended} servers that an earlier hub ran as root: whoever had one could become the hub's"
            " admin. Users' files stay, and each user can start a server again."
        )
    if chosen.others:
        said.append(
            f"  Servers that an earlier hub started with another isolation keep it: {chosen.others}. Stop them."
        )
    return said


def description(kind: str, *, named: bool, uid: int) -> str:
    """Return one sentence about a kind, without its full stop.

    Args:
        kind: its name.
        named: whether the settings name it.
        uid: the user id of the running hub, which may be another one than the caller's.
    """
    if kind == _NONE:
        only = "" if named else "; so only the first user may start servers"
        return f"NONE. Servers run as the hub's own account: {_EVERYTHING}{only}"
    if kind == "accounts":
        return "accounts. Each owner's servers have a user id of their own"
    own = ", and each owner has a user id of their own" if uid == 0 else ""
    return f"sandbox. Each server has a sandbox of its own{own}"


def main() -> None:
    """Read a configuration from standard input, choose, and print the choice as JSON."""
    from embedded import database_file, kept_copies  # noqa: PLC0415 large, and only in this process
    from hubless.adapters.system_clock import SystemClock  # noqa: PLC0415 as above
    from hubless.bootstrap import isolation  # noqa: PLC0415 as above

    config = ChildConfig(**json.load(sys.stdin))
    try:
        settings = config.settings()
        epoch = database_file.begin_run(settings, _tell)
        kept_copies.remove_old_copies(settings, SystemClock().now(), _tell)
        choice = isolation.choose(settings)
    except HublessError as error:
        print(json.dumps({"error": str(error)}))  # noqa: T201 the answer
    else:
        name = choice.isolation.name
        ended = isolation.end_servers_of_root(settings)
        others = isolation.running_otherwise(settings, name)
        answer = Chosen(name, dict(choice.refused), others, ended, choice.weak_limits, epoch)
        print(json.dumps(asdict(answer)))  # noqa: T201 the answer


def _tell(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 to the operator


if __name__ == "__main__":
    main()

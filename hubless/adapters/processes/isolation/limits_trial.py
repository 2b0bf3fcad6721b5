"""Tries for real whether a server could raise its own resource limits: a program in the isolation does its best.

The limits are those of a launch that is made for it, and higher ones are still harmless: the program only writes them.
"""

import shlex
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack

from hubless.adapters.processes import cgroups
from hubless.adapters.processes.cgroups import ControlGroups
from hubless.adapters.processes.isolation import Isolation, Start
from hubless.adapters.processes.isolation.trial import SECONDS, Stakes, participant
from hubless.adapters.processes.limit_record import LimitRecord
from hubless.domain.errors import LaunchFailedError

MEMORY, PROCESSES = 2**28, 64  # enough for the shells of a trial
RAISED = "a trial program could raise them"
_DONE = "trial: done"
# For each folder: writes what means "no limit" to the files of both versions.
_RAISE = """
for group; do
    for file in "$group/pids.max" "$group/memory.max"; do [ -w "$file" ] && echo max >"$file"; done
    for file in "$group/memory.limit_in_bytes"; do [ -w "$file" ] && echo -1 >"$file"; done
done
"""
# A cgroup namespace shows the caller's own cgroup as the uppermost one.
_MOUNT = """
cd "$HOME" && mkdir -p v2 memory pids
mount -t cgroup2 none v2; mount -t cgroup -o memory none memory; mount -t cgroup -o pids none pids
set -- v2 memory pids
"""


def reason_against_limits(isolation: Isolation, stakes: Stakes, groups: ControlGroups) -> str | None:
    """Return why the limits of *groups* do not hold in this kind of isolation, as a clause; None if they do."""
    with ExitStack() as stack:
        try:
            own = participant(isolation, isolation.trial_accounts()[0], stakes, stack)
            record = LimitRecord(MEMORY, PROCESSES, None, groups.of(own.folder.path.name))
            stack.callback(cgroups.remove, record.cgroups)
            cgroups.make(record)
            environment = {**stakes.environment, "HOME": str(own.account.home)}
            start = Start(("/bin/sh", "-c", _script(record.cgroups)), own.account, own.folder, own.lock, environment)
            ended = subprocess.run(
                [*cgroups.join_command(record.cgroups), *isolation.wrap(start)],
                cwd=own.account.home,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                pass_fds=(own.lock,),
                timeout=SECONDS,
                check=False,
            )
        except LaunchFailedError as error:
            return str(error)
        except (OSError, subprocess.SubprocessError) as error:
            return f"the trial failed: {error}"
        if not cgroups.hold(record):
            return RAISED
        return None if _DONE in ended.stdout.decode(errors="replace").splitlines() else "the trial did not end"


def _script(folders: Mapping[str, str]) -> str:
    """Return what the program does: it tries the files where the hub has them, and where a namespace shows them."""
    seen_by_hub = shlex.join(dict.fromkeys(folders.values()))
    in_namespace = f"unshare --user --map-root-user --mount --cgroup /bin/sh -c {shlex.quote(_MOUNT + _RAISE)}"
    return f'{{ /bin/sh -c {shlex.quote(_RAISE)} raise {seen_by_hub}; {in_namespace}; }} 2>/dev/null\necho "{_DONE}"'

"""Launchers of processes whose children a test waits for: servers outlive their launcher, a test's servers must not."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from hubless.adapters.processes.accounts import OwnerUids
from hubless.adapters.processes.isolation import ACCOUNTS, NONE, SANDBOX
from hubless.adapters.processes.isolation.bubblewrap import View
from hubless.adapters.processes.isolation.kinds import AccountsIsolation, NoIsolation, Programs, SandboxIsolation
from hubless.adapters.processes.launcher import ProcessLauncher
from hubless.adapters.processes.limit_means import Means
from hubless.adapters.processes.resource_limits import ResourceLimits
from hubless.adapters.sqlite.owner_uids import SqliteOwnerUidStore
from tests.support.sqlite import InMemory

UIDS = (2_100_000_000, 2_100_000_099)
# Root never runs a server, and only root can give servers other accounts.
KINDS = (SANDBOX, ACCOUNTS) if os.geteuid() == 0 else (SANDBOX, NONE)


def is_alive(pid):
    """Say whether the process runs; one that ends while we look does not, and no zombie does."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def python_for_all():
    """Return a Python that every account may run."""
    candidates = [Path(found).resolve() for found in (sys.executable, "/usr/bin/python3") if shutil.which(found)]
    return str(next(one for one in candidates if all(folder.stat().st_mode & 0o001 for folder in one.parents)))


def isolation(kind, homes, uids, view=None, way=None):
    """Return one kind of isolation with its homes in *homes*; *uids* is a store, *way* the folders before homes."""
    owners = OwnerUids(lambda: uids, *UIDS)
    made = {
        SANDBOX: lambda: SandboxIsolation(
            homes, owners, Programs.found(), view or View((), (), (homes,), 64 * 1024**2), as_system_users=False
        ),
        ACCOUNTS: lambda: AccountsIsolation(homes, owners, Programs.found(), way or (homes,), as_system_users=False),
        NONE: lambda: NoIsolation(homes, lambda _: True),
    }
    return made[kind]()


def make_environment(folder, python, program):
    """Make a virtual environment whose `jupyterhub-singleuser` runs the *program*; return the path of that command."""
    python = Path(python).resolve()
    tell = "import sys; print(*sys.version_info[:2], sep='.')"
    version = subprocess.run([python, "-c", tell], capture_output=True, text=True, check=True).stdout.strip()
    package = folder / "lib" / f"python{version}" / "site-packages" / "jupyterhub" / "singleuser"
    package.mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "pyvenv.cfg").write_text(f"home = {python.parent}\n")
    (folder / "bin" / "python").symlink_to(python)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").write_text(f"def main():\n    exec(compile({program!r}, 'server', 'exec'), {{}})\n")
    command = folder / "bin" / "jupyterhub-singleuser"
    command.write_text(f"#!{folder}/bin/python\nimport sys\nfrom jupyterhub.singleuser import main\nsys.exit(main())\n")
    command.chmod(0o755)
    return str(command)


class ProcessLaunchers:
    """Make launchers over the same folders, and wait for what they started."""

    def __init__(self, servers, homes, environment, kind=SANDBOX, of=None, *, means=None, max_processes=0, forks=None):
        self._servers, self._environment, self._made = servers, environment, []
        self._forks = forks
        self._means, self._max_processes = means or Means(), max_processes
        self._isolation = of or isolation(kind, homes, SqliteOwnerUidStore(InMemory()))

    def make(self):
        limits = ResourceLimits(self._servers, self._means, max_processes=self._max_processes)
        launcher = ProcessLauncher(
            self._servers, lambda: self._isolation, limits, environment=self._environment, fork_servers=self._forks
        )
        self._made.append(launcher)
        return launcher

    def wait(self):
        """Wait for all children after their signal to end: otherwise they stay zombies."""
        for launcher in self._made:
            for child in [*launcher._children.values()]:
                child.wait(10)

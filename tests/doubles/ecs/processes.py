"""Tasks that are real: processes of this machine, each at a loopback address of its own.

They differ from containers in their files, which are this machine's, and in two things that are changed for them: they
listen at the task's own address instead of at all, and root's servers are allowed to be root's.
"""

import os
import random
import signal
import subprocess
from pathlib import Path


class Processes:
    """Starts what task definitions command, with programs out of one folder."""

    def __init__(self, programs: Path, home: Path):
        self.programs, self.home = programs, home
        self._children = []

    def address(self):
        """Return one that no other run on this machine has: by chance, out of sixteen million."""
        return f"127.{random.randint(1, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}"

    def start(self, task, environment):
        command = task["definition"]["containerDefinitions"][0]["command"]
        address = task["containers"][0]["networkInterfaces"][0]["privateIpv4Address"]
        own = {"PATH": f"{self.programs}:{os.defpath}", "HOME": str(self.home)}
        seen = own | {name: value.replace("//0.0.0.0:", f"//{address}:") for name, value in environment.items()}
        root = ["--allow-root"] if os.geteuid() == 0 and "jupyterhub-singleuser" in command else []
        with (self.home / "server.log").open("ab") as log:
            child = subprocess.Popen(
                [self.programs / command[0], *command[1:], *root],
                env=seen,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._children.append((task, child))

    def end(self, task, how):
        for known, child in self._children:
            if known is task:
                child.send_signal(how)

    def ended(self):
        """Return each task whose process has ended since the last look, with its code as Docker gives it."""
        gone = [(task, child) for task, child in self._children if child.poll() is not None]
        self._children = [one for one in self._children if one not in gone]
        return [(task, child.returncode if child.returncode >= 0 else 128 - child.returncode) for task, child in gone]

    def close(self):
        for _, child in self._children:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()

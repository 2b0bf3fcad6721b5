"""Launchers of processes whose children a test waits for: servers outlive their launcher, a test's servers must not."""

from hubless.adapters.processes.launcher import ProcessLauncher


class ProcessLaunchers:
    """Make launchers over the same folders, and wait for what they started."""

    def __init__(self, servers, homes, environment):
        self._folders, self._environment, self._made = (servers, homes), environment, []

    def make(self):
        launcher = ProcessLauncher(*self._folders, run_as_system_users=False, environment=self._environment)
        self._made.append(launcher)
        return launcher

    def wait(self):
        """Wait for all children after their signal to end: otherwise they stay zombies."""
        for launcher in self._made:
            for child in [*launcher._children.values()]:
                child.wait(10)

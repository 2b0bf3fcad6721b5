"""What holds resource limits on this machine: found at the start of the hub, and read by all its processes."""

import json
from pathlib import Path

from hubless.adapters.processes import cgroups
from hubless.adapters.processes.cgroups import ControlGroups, NoControlGroupsError
from hubless.domain.limits import Resource
from hubless.domain.values import value

WATCHED = frozenset({Resource.MEMORY, Resource.PROCESSES})
"""What the worker holds by watching processes (`process_tree`)."""
_WORDS = {Resource.MEMORY: "memory", Resource.CPUS: "CPUs", Resource.PROCESSES: "processes"}


@value
class Means:
    """What holds the limits on this machine, as the start of the hub found it.

    Args:
        control_groups: cgroups that work, or None where the worker watches the processes.
        why_not: what was seen where no cgroup works.
    """

    control_groups: ControlGroups | None = None
    why_not: str = ""

    @property
    def name(self) -> str:
        """Return the name for people."""
        return self.control_groups.name if self.control_groups else "process watch"

    @property
    def holds(self) -> frozenset[Resource]:
        """Return the resources whose limits are held."""
        return self.control_groups.holds if self.control_groups else WATCHED

    @classmethod
    def find(cls, data: Path) -> "Means":
        """Try what works here for the hub with that data folder; call it before the hub starts other processes."""
        try:
            return cls(ControlGroups.find(cgroups.name_of(data)))
        except NoControlGroupsError as error:
            return cls(None, str(error))

    def save(self, file: Path) -> None:
        """Write it where the hub's other processes read it."""
        groups = self.control_groups
        facts = {
            "version": groups.version if groups else None,
            "parents": {name: str(path) for name, path in groups.parents.items()} if groups else {},
            "why_not": self.why_not,
        }
        draft = file.with_suffix(".new")
        draft.write_text(json.dumps(facts))
        draft.chmod(0o600)
        draft.replace(file)

    @classmethod
    def load(cls, file: Path) -> "Means":
        """Return what the start of the hub wrote; the process watch if nothing readable is there."""
        try:
            facts = json.loads(file.read_text())
            parents = {str(name): Path(path) for name, path in facts["parents"].items()}
            return cls(ControlGroups(facts["version"], parents) if parents else None, facts["why_not"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls(None, "no start of the hub has looked for control groups")

    @property
    def sentence(self) -> str:
        """Return what holds which limits, as the console says it, without a full stop."""
        if self.control_groups:
            held = ", ".join(sorted(_WORDS[resource] for resource in self.holds))
            return f"{self.name} ({held})"
        return (
            f"{self.name} (memory and processes, some seconds late; CPUs are not limited), because control groups"
            f" cannot be used: {self.why_not}"
        )

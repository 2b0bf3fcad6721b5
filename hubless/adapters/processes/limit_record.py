"""The limits of one launch, in its folder: they outlive the hub, as the server does."""

import json
from collections.abc import Mapping
from dataclasses import asdict, field
from pathlib import Path

from hubless.adapters.processes import small_files
from hubless.domain.limits import LimitReached, Resource, limit_in_words
from hubless.domain.values import value

_NAME = "limits.json"


@value
class LimitRecord:
    """The limits of a launch, what holds them, and how often the launch has reached them.

    Args:
        memory: bytes; None for no limit.
        processes: processes and threads; None for no limit.
        cpus: processors; None for no limit.
        cgroups: the launch's folder by controller; empty where the worker watches the processes.
        reached: how often the worker had to enforce a limit, by resource; cgroups count for themselves.
    """

    memory: int | None = None
    processes: int | None = None
    cpus: float | None = None
    cgroups: Mapping[str, str] = field(default_factory=dict, hash=False)
    reached: Mapping[str, int] = field(default_factory=dict, hash=False)

    def limits_reached(self, counts: Mapping[str, int]) -> tuple[LimitReached, ...]:
        """Return which limits the launch has reached, by *counts* of a resource's name."""
        limits = {Resource.MEMORY: self.memory, Resource.PROCESSES: self.processes}
        return tuple(
            LimitReached(resource, limit, counts[resource])
            for resource, limit in limits.items()
            if limit is not None and counts.get(resource)
        )


def read(launch: Path) -> LimitRecord | None:
    """Return the record of the launch with that folder, or None."""
    try:
        return LimitRecord(**json.loads(small_files.read(f"{launch}/{_NAME}")))
    except (OSError, ValueError, TypeError):
        return None


def write(launch: Path, record: LimitRecord) -> None:
    """Write the record atomically; do nothing if the launch has been forgotten."""
    draft = launch / "limits.json.new"
    try:
        draft.write_text(json.dumps(asdict(record)))
        draft.replace(_file(launch))
    except FileNotFoundError:
        return


def in_words(reached: tuple[LimitReached, ...]) -> str:
    """Return the limits, such as `memory limit of 1 GiB and limit of 512 processes and threads`."""
    return " and ".join(limit_in_words(one.resource, one.limit) for one in reached)


def _file(launch: Path) -> Path:
    return launch / _NAME

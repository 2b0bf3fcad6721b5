"""The last measurements of what launches use, in one file: the worker writes it, and the hub's other processes read it.

They are no part of the hub's state. The database would tell all its readers of each change.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from hubless.domain.loads import Load


class LoadsFile:
    """Stores all measurements at once, and reads the file only when it has changed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read: tuple[tuple[int, int], dict[str, Load]] = (0, 0), {}

    def replace(self, loads: Mapping[str, Load]) -> None:
        """Replace all measurements.

        Raises:
            OSError: when the disk fails.
        """
        facts = {
            key: (one.memory, one.cpus, one.measured_at.isoformat(), one.memory_limit) for key, one in loads.items()
        }
        draft = self._file.with_suffix(".new")
        draft.write_text(json.dumps(facts))
        draft.chmod(0o600)
        draft.replace(self._file)

    def get_many(self, launch_ids: Iterable[str]) -> dict[str, Load]:
        known = self._known()
        return {one: known[one] for one in launch_ids if one in known}

    def _known(self) -> dict[str, Load]:
        try:
            facts = self._file.stat()
            version = facts.st_ino, facts.st_mtime_ns
            if self._read[0] != version:
                found = json.loads(self._file.read_text())
                self._read = version, {str(key): _load(*one) for key, one in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}  # nobody has measured anything yet
        return self._read[1]


def _load(memory: int, cpus: float | None, measured_at: str, memory_limit: int | None) -> Load:
    return Load(memory, cpus, datetime.fromisoformat(measured_at), memory_limit)

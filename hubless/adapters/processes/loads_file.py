"""The last measurements of what launches use, in one file: the worker writes it, and the hub's other processes read it.

They are no part of the hub's state. The database would tell all its readers of each change.
"""

import json
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from hubless.domain.loads import Load

_NOTE_SECONDS = 5.0  # between two notes that somebody reads


class LoadsFile:
    """Stores all measurements at once, and reads the file only when it has changed.

    Readers leave a note (a file beside it), so that nobody has to measure often what nobody looks at.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._note = file.with_suffix(".read")
        self._noted_at = float("-inf")
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

    def was_read_within(self, seconds: float) -> bool:
        """Say whether somebody has read measurements within the last *seconds*; a clock that was set back says yes."""
        try:
            return time.time() - self._note.stat().st_mtime < seconds
        except OSError:
            return False

    def get_many(self, launch_ids: Iterable[str]) -> dict[str, Load]:
        self._leave_note()
        known = self._known()
        return {one: known[one] for one in launch_ids if one in known}

    def _leave_note(self) -> None:
        if time.monotonic() - self._noted_at >= _NOTE_SECONDS:
            self._noted_at = time.monotonic()
            with suppress(OSError):  # then it is measured less often
                self._note.touch(mode=0o600)

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

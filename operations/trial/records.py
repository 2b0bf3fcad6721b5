"""What a trial knows about its steps, and the file that outlives the command."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from operations.errors import OperationsError

VERSION = 1  # of the file


class Outcome(StrEnum):
    """How a step ended. A step that is `running` in a file was cut off: the command was killed."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"


@dataclass
class Record:
    """One step's outcome.

    Attributes:
        step: the step's name, or `undo NAME`.
        outcome: how it ended.
        seconds: how long it took.
        message: why it failed, was skipped or was interrupted.
        facts: what the step measured, and what AWS answered: JSON.
    """

    step: str
    outcome: Outcome
    seconds: float = 0.0
    message: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class State:
    """A trial, as its file holds it: no secrets.

    Attributes:
        stage, region, account: what the trial may touch.
        mark: random characters in the names of the trial's users.
        began_at: when the trial began, in ISO 8601.
        spent_usd: the estimate until `saved_at`, as a decimal number.
        saved_at: seconds since 1970 at which the file was written; 0 before that.
        servers: how many servers may have run at that time.
        records: of all steps, in the order in which they ran.
        vpc: the id of the stage's VPC, whose network interfaces may outlive it.
        is_clean: whether everything that the trial made is removed.
    """

    stage: str
    region: str
    account: str
    mark: str
    began_at: str
    spent_usd: str = "0"
    saved_at: float = 0.0
    servers: int = 0
    records: list[Record] = field(default_factory=list)
    vpc: str = ""
    is_clean: bool = False

    def record_of(self, step: str) -> Record | None:
        """Return the newest record of *step*."""
        return next((one for one in reversed(self.records) if one.step == step), None)

    def has_passed(self, step: str) -> bool:
        """Return whether *step* passed at its newest run."""
        found = self.record_of(step)
        return found is not None and found.outcome is Outcome.PASSED

    def has_begun(self, step: str) -> bool:
        """Return whether *step* may have made something: it ran, however it ended."""
        return any(one.step == step and one.outcome is not Outcome.SKIPPED for one in self.records)


class StateFile:
    """The file of one trial. Writes replace it at once, so a killed command leaves the older or the newer text."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> State | None:
        """Return the state. None if there is no file.

        Raises:
            OperationsError: if another version of hubless wrote the file, or it is damaged.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        try:
            told = json.loads(text)
            if told.pop("version") != VERSION:
                raise OperationsError(f"Another version of hubless wrote {self.path}: clean up with that version")
            records = [Record(**one | {"outcome": Outcome(one["outcome"])}) for one in told.pop("records")]
            return State(**told, records=records)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise OperationsError(f"{self.path} is damaged ({error}): clean up as docs/deploy.md says") from None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other commands from this trial until the block ends.

        Raises:
            OperationsError: if another command has it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OperationsError(f"Another `hubless trial` works with {self.path.parent}: wait for it") from None
            yield

    def save(self, state: State) -> None:
        """Write the state."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_suffix(".new")
        with beside.open("w", encoding="utf-8") as file:
            json.dump({"version": VERSION} | asdict(state), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.path)

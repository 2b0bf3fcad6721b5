"""Run the steps of a trial, and clean up however they end."""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from operations.errors import OperationsError
from operations.trial import leftovers
from operations.trial.context import Facts, MeasuredError, Trial
from operations.trial.records import Outcome, Record
from operations.trial.spend import SpendLimitError
from operations.trial.steps import DEPLOY, STEPS, Step, reason_not_here

DESTROY, LEFTOVERS = "destroy", "leftovers"  # names of records, as in docs/trial.md
SEARCHES, SEARCH_SECONDS = 4, 30.0  # AWS's lists are eventually consistent


class Runner:
    """Runs one trial.

    Args:
        trial: what the steps work with.
        save: writes the trial's state; called before and after each step.
        keep: whether the stage stays for a look if a step does not pass.
        steps: in the order in which they run.
    """

    def __init__(
        self, trial: Trial, save: Callable[[], None], *, keep: bool = False, steps: Sequence[Step] = STEPS
    ) -> None:
        self.trial, self._save, self._keep, self._steps = trial, save, keep, steps

    def run(self) -> bool:
        """Run the steps that have not passed yet, and then clean up. Return whether all passed and nothing is left.

        Raises:
            KeyboardInterrupt: after the clean-up, if the operator interrupted a step.
        """
        try:
            self._run_all()
        except KeyboardInterrupt:
            self._finish()
            raise
        return self._finish() and self.has_passed

    def _finish(self) -> bool:
        """Clean up, unless the stage is to stay for a look. Return whether nothing is left."""
        if self._keep and not self.has_passed:
            self.trial.say("The stage stays, and costs money: look, and then run `hubless trial --clean-up`")
            return False
        return self.clean_up()

    @property
    def has_passed(self) -> bool:
        """Return whether all steps passed that can run here."""
        return all(self.trial.state.has_passed(step.name) for step in self._steps if step.name not in self._not_here)

    @property
    def _not_here(self) -> frozenset[str]:
        return frozenset(step.name for step in self._steps if reason_not_here(step, self.trial))

    def _run_all(self) -> None:
        for step in self._steps:
            if self.trial.state.has_passed(step.name):
                continue
            if reason := reason_not_here(step, self.trial) or self._reason_to_skip(step):
                self._record(Record(step.name, Outcome.SKIPPED, message=reason))
                continue
            try:
                self.trial.spend.require_room(step.longest, step.servers(self.trial))
            except SpendLimitError as error:
                self._record(Record(step.name, Outcome.SKIPPED, message=str(error)))
                continue
            self.trial.spend.servers = max(self.trial.spend.servers, step.servers(self.trial))
            self.trial.say(f"{step.name}: {step.does} …")
            self._run(step.name, step.run)

    def _reason_to_skip(self, step: Step) -> str:
        """Return the step that this one needs and that did not pass. One that cannot run here is not needed here."""
        missing = [name for name in step.needs if not self.trial.state.has_passed(name) and name not in self._not_here]
        return f"it needs {missing[0]}, which did not pass" if missing else ""

    def _run(self, name: str, run: Callable[[Trial], Facts]) -> Record:
        """Run one step, and record its outcome."""
        record, begun = Record(name, Outcome.RUNNING), self.trial.clock()
        self.trial.state.records.append(record)
        self._saved()
        try:
            record.facts = run(self.trial)
            record.outcome = Outcome.PASSED
        except KeyboardInterrupt:
            record.outcome, record.message = Outcome.INTERRUPTED, "the operator interrupted it"
            raise
        except OperationsError as error:
            record.outcome, record.message = Outcome.FAILED, str(error)
            record.facts = error.facts if isinstance(error, MeasuredError) else {}
        except Exception as error:  # noqa: BLE001 what AWS answers is not known yet, and the clean-up must run
            record.outcome, record.message = Outcome.FAILED, f"{_place_of(error)}: {type(error).__name__}: {error}"
        finally:
            record.seconds = round(self.trial.clock() - begun, 1)
            self._saved()
        self.trial.say(f"{name}: {record.outcome}, {record.seconds:.0f} s. {record.message}".rstrip())
        return record

    def _record(self, record: Record) -> None:
        self.trial.state.records.append(record)
        self._saved()
        self.trial.say(f"{record.step}: {record.outcome}: {record.message}")

    def _saved(self) -> None:
        self.trial.state.spent_usd, self.trial.state.servers = str(self.trial.spend.count()), self.trial.spend.servers
        self._save()

    # --- clean-up ---

    def clean_up(self) -> bool:
        """Undo all steps that have begun, the newest first, and search for what is left. Return whether nothing is.

        An undo that fails does not keep the others from running.

        Raises:
            KeyboardInterrupt: if the operator interrupts it. The state file says what remains to be undone.
        """
        trial, done = self.trial, set[Callable[[Trial], Facts]]()
        trial.is_cleaning_up = True
        for step in reversed(self._steps):
            if step.undo and step.undo not in done and trial.state.has_begun(step.name):
                done.add(step.undo)
                self._run(DESTROY if step.name == DEPLOY else f"undo {step.name}", step.undo)
        found = self._run(LEFTOVERS, self._search)
        trial.state.is_clean = found.outcome is Outcome.PASSED
        self._saved()
        return trial.state.is_clean

    def _search(self, trial: Trial) -> Facts:
        """Search until nothing is left, a few times.

        Raises:
            MeasuredError: if something is.
        """
        found = leftovers.search(trial)
        for _ in range(SEARCHES - 1):
            if not found.left:
                break
            trial.wait(SEARCH_SECONDS)
            found = leftovers.search(trial)
        facts: Facts = {
            "left": [asdict(one) for one in found.left],
            "listed by tag, perhaps deleted": list(found.listed),
            "not searched": dict(found.unsearched),
        }
        if found.left:
            raise MeasuredError("these are left: " + ", ".join(f"{one.kind}: {one.name}" for one in found.left), facts)
        return facts


def _place_of(error: Exception) -> str:
    """Return the line of hubless at which an unexpected error came up."""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if "operations" in Path(one.filename).parts]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unexpected"

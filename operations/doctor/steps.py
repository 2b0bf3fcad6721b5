"""Run the doctor's checks one by one, with their times."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from hubless.domain.values import value
from operations.check_results import CheckResult, Level, problem
from operations.errors import OperationsError


class StepFailedError(OperationsError):
    """Raised by a step that failed, with what to do."""

    def __init__(self, message: str, action: str = "", link: str = "") -> None:
        super().__init__(message)
        self.action, self.link = action, link


@value
class Step:
    """The result of a step, and how long it took."""

    result: CheckResult
    seconds: float

    def text(self) -> str:
        first, *more = self.result.text().splitlines()
        level, rest = first[:9], first[9:]
        return "\n".join([f"{level}{self.seconds:7.2f} s  {rest}", *more])

    def data(self) -> dict[str, Any]:
        return asdict(self.result) | {"seconds": round(self.seconds, 3)}


class Steps:
    """Runs steps, and passes each to *report*. *clock* returns seconds."""

    def __init__(self, report: Callable[[Step], None], clock: Callable[[], float]) -> None:
        self.done: list[Step] = []
        self._report, self._clock = report, clock

    def run(self, check: str, step: Callable[[], CheckResult]) -> bool:
        """Run one step. Return whether the steps that build on it can run."""
        started = self._clock()
        try:
            result = step()
        except OperationsError as error:
            result = problem(check, str(error), getattr(error, "action", ""), getattr(error, "link", ""))
        self.record(result, self._clock() - started)
        return result.level is not Level.PROBLEM

    def record(self, result: CheckResult, seconds: float = 0.0) -> None:
        """Record a result without running a step."""
        self.done.append(Step(result, seconds))
        self._report(self.done[-1])

    @property
    def results(self) -> list[CheckResult]:
        return [step.result for step in self.done]

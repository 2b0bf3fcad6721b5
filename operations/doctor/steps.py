"""Steps: each is done, timed and told of as it ends."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from hubless.domain.values import value
from operations.check_results import CheckResult, Level, problem
from operations.errors import OperationsError


class StepFailedError(OperationsError):
    """Raised by a step that did not come to its end, with what there is to do."""

    def __init__(self, said: str, do: str = "", link: str = "") -> None:
        super().__init__(said)
        self.action, self.link = do, link


@value
class Step:
    """What a step found, and how long it took."""

    result: CheckResult
    seconds: float

    def text(self) -> str:
        first, *more = self.result.text().splitlines()
        level, rest = first[:9], first[9:]
        return "\n".join([f"{level}{self.seconds:7.2f} s  {rest}", *more])

    def data(self) -> dict[str, Any]:
        return asdict(self.result) | {"seconds": round(self.seconds, 3)}


class Steps:
    """Does one thing after the other; *report* hears of each, *clock* says seconds."""

    def __init__(self, report: Callable[[Step], None], clock: Callable[[], float]) -> None:
        self.done: list[Step] = []
        self._report, self._clock = report, clock

    def run(self, check: str, what: Callable[[], CheckResult]) -> bool:
        """Do one thing and say whether it may go on from there."""
        begun = self._clock()
        try:
            finding = what()
        except OperationsError as error:
            finding = problem(check, str(error), getattr(error, "action", ""), getattr(error, "link", ""))
        self.record(finding, self._clock() - begun)
        return finding.level is not Level.PROBLEM

    def record(self, finding: CheckResult, seconds: float = 0.0) -> None:
        """Note what was found by the way."""
        self.done.append(Step(finding, seconds))
        self._report(self.done[-1])

    @property
    def results(self) -> list[CheckResult]:
        return [step.result for step in self.done]

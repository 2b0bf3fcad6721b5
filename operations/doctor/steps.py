"""Steps: each is done, timed and told of as it ends."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from hubless.domain.values import value
from operations.errors import OperationsError
from operations.findings import Finding, Level, problem


class StepFailedError(OperationsError):
    """Raised by a step that did not come to its end, with what there is to do."""

    def __init__(self, said: str, do: str = "", link: str = "") -> None:
        super().__init__(said)
        self.do, self.link = do, link


@value
class Step:
    """What a step found, and how long it took."""

    finding: Finding
    seconds: float

    def text(self) -> str:
        first, *more = self.finding.text().splitlines()
        level, rest = first[:9], first[9:]
        return "\n".join([f"{level}{self.seconds:7.2f} s  {rest}", *more])

    def data(self) -> dict[str, Any]:
        return asdict(self.finding) | {"seconds": round(self.seconds, 3)}


class Steps:
    """Does one thing after the other; *report* hears of each, *clock* says seconds."""

    def __init__(self, report: Callable[[Step], None], clock: Callable[[], float]) -> None:
        self.done: list[Step] = []
        self._report, self._clock = report, clock

    def do(self, check: str, what: Callable[[], Finding]) -> bool:
        """Do one thing and say whether it may go on from there."""
        begun = self._clock()
        try:
            finding = what()
        except OperationsError as error:
            finding = problem(check, str(error), getattr(error, "do", ""), getattr(error, "link", ""))
        self.tell(finding, self._clock() - begun)
        return finding.level is not Level.PROBLEM

    def tell(self, finding: Finding, seconds: float = 0.0) -> None:
        """Note what was found by the way."""
        self.done.append(Step(finding, seconds))
        self._report(self.done[-1])

    @property
    def findings(self) -> list[Finding]:
        return [step.finding for step in self.done]

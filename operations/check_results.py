"""Results of checks, as lines for people and as data for programs."""

from collections.abc import Iterable
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from hubless.domain.values import value


class Level(StrEnum):
    """The severity of a result. A problem will fail, a warning may."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@value
class CheckResult:
    """The result of one check. If it is not ok: what to do, and where to read more."""

    check: str
    level: Level
    message: str
    action: str = ""
    link: str = ""

    def text(self) -> str:
        """Return the result as a line, with the action and the link below it."""
        more = [part for part in (self.action, self.link) if part and self.level is not Level.OK]
        return "\n".join([f"{self.level:<8} {self.check}: {self.message}", *(f"{'':9}{part}" for part in more)])


def ok(check: str, message: str) -> CheckResult:
    """Return a result that needs no action."""
    return CheckResult(check, Level.OK, message)


def warning(check: str, message: str, action: str = "", link: str = "") -> CheckResult:
    """Return a result for what may fail."""
    return CheckResult(check, Level.WARNING, message, action, link)


def problem(check: str, message: str, action: str = "", link: str = "") -> CheckResult:
    """Return a result for what will fail."""
    return CheckResult(check, Level.PROBLEM, message, action, link)


def has_problem(results: Iterable[CheckResult]) -> bool:
    """Return whether any result is a problem."""
    return any(result.level is Level.PROBLEM for result in results)


def as_json(results: Iterable[CheckResult]) -> list[dict[str, Any]]:
    """Return the results as data for JSON."""
    return [asdict(result) for result in results]


def summary(results: Iterable[CheckResult]) -> str:
    """Return the number of results of each level."""
    listed = list(results)
    passed, warnings, problems = (
        sum(one.level is level for one in listed) for level in (Level.OK, Level.WARNING, Level.PROBLEM)
    )
    return f"{passed} ok, {_count(warnings, 'warning')}, {_count(problems, 'problem')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

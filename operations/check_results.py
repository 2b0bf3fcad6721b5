"""What a look at something found, one line each, for people and for programs."""

from collections.abc import Iterable
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from hubless.domain.values import value


class Level(StrEnum):
    """How bad it is: what is a problem fails, what is a warning may."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@value
class CheckResult:
    """What was found of one thing; where it is not well, what to do and where to read on."""

    check: str
    level: Level
    message: str
    action: str = ""
    link: str = ""

    def text(self) -> str:
        """Return it as a line, and below what there is to do."""
        more = [part for part in (self.action, self.link) if part and self.level is not Level.OK]
        return "\n".join([f"{self.level:<8} {self.check}: {self.message}", *(f"{'':9}{part}" for part in more)])


def ok(check: str, said: str) -> CheckResult:
    """Return that all is well."""
    return CheckResult(check, Level.OK, said)


def warning(check: str, said: str, do: str = "", link: str = "") -> CheckResult:
    """Return that something may go wrong."""
    return CheckResult(check, Level.WARNING, said, do, link)


def problem(check: str, said: str, do: str = "", link: str = "") -> CheckResult:
    """Return that something will go wrong."""
    return CheckResult(check, Level.PROBLEM, said, do, link)


def has_problem(findings: Iterable[CheckResult]) -> bool:
    """Say whether anything will go wrong."""
    return any(finding.level is Level.PROBLEM for finding in findings)


def as_json(findings: Iterable[CheckResult]) -> list[dict[str, Any]]:
    """Return them as data."""
    return [asdict(finding) for finding in findings]


def summary(findings: Iterable[CheckResult]) -> str:
    """Return how many there are of each level."""
    found = list(findings)
    counts = [
        f"{sum(one.level is level for one in found)} {word}"
        for level, word in ((Level.OK, "well"), (Level.WARNING, "warnings"), (Level.PROBLEM, "problems"))
    ]
    return ", ".join(counts)

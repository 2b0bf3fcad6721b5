"""The report of a trial: JSON for programs, Markdown for people, without what identifies the account or a person."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from hubless.settings.installed import installed_version
from hubless.settings.stage import StageSettings
from operations.trial.context import Trial
from operations.trial.redaction import Redaction

ESTIMATE = (
    "An estimate, from what ran and the prices of `hubless cost`; AWS's own figures come a day later, "
    "and no AWS Budget watches a trial, because budgets are as late"
)
_SETTINGS = ("region", "edge", "instance_type", "architecture", "cpus", "memory", "capacity", "homes", "waf")


def data(trial: Trial, *, has_passed: bool) -> dict[str, Any]:
    """Return the report as JSON, redacted. *has_passed* says whether all steps passed that could run."""
    state = trial.state
    found = {
        "hubless": installed_version(),
        "began_at": state.began_at,
        "settings": {name: _plain(trial.stage.settings, name) for name in _SETTINGS},
        "passed": has_passed,
        "clean": state.is_clean,
        "estimate": {
            "usd": f"{Decimal(state.spent_usd):.2f}",
            "limit_usd": f"{trial.spend.limit:.2f}",
            "note": ESTIMATE,
        },
        "steps": [asdict(record) for record in state.records],
    }
    redacted: dict[str, Any] = Redaction(trial.known).data(found)
    return redacted


def markdown(report: Mapping[str, Any]) -> str:
    """Return a report of `data` as Markdown."""
    estimate, settings = report["estimate"], report["settings"]
    passed = "All steps passed that could run" if report["passed"] else "Not all steps passed"
    left = "nothing is left" if report["clean"] else "SOMETHING IS LEFT"
    return "\n".join(
        [
            "# Trial of hubless",
            "",
            f"hubless {report['hubless']}, {report['began_at']}. {passed}; {left}.",
            "",
            f"Estimate: ${estimate['usd']} of at most ${estimate['limit_usd']}. {estimate['note']}.",
            "",
            f"Settings: {', '.join(f'{name} {text}' for name, text in settings.items())}.",
            "",
            "| step | outcome | seconds |",
            "| --- | --- | --- |",
            *(f"| {one['step']} | {one['outcome']} | {one['seconds']} |" for one in report["steps"]),
            "",
            *(line for one in report["steps"] for line in _section(one)),
        ]
    )


def write(report: Mapping[str, Any], folder: Path) -> tuple[Path, Path]:
    """Write report.json and report.md into *folder*. Return both."""
    as_json, as_markdown = folder / "report.json", folder / "report.md"
    as_json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    as_markdown.write_text(markdown(report), encoding="utf-8")
    return as_json, as_markdown


def _section(step: Mapping[str, Any]) -> list[str]:
    if not step["message"] and not step["facts"]:
        return []
    lines = [f"## {step['step']}", ""]
    if step["message"]:
        lines += ["```", str(step["message"]).replace("```", "'''"), "```", ""]
    if step["facts"]:
        lines += [*(f"- {name}: {_inline(told)}" for name, told in step["facts"].items()), ""]
    return lines


def _inline(told: Any) -> str:
    return told if isinstance(told, str) else json.dumps(told, ensure_ascii=False)


def _plain(settings: StageSettings, name: str) -> Any:
    given = getattr(settings, name)
    return given if isinstance(given, str | int | float | bool) else str(given)

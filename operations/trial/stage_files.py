"""The settings that a trial deploys: the operator's stage, and a hub of the trial's own.

A trial does not deploy the operator's hub: it needs logins by password, and a server that never gets ready.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hubless.settings.loading import parse_toml, read_text
from hubless.settings.stage import SECTION, Stage, load_stage

FIRST, SECOND = "hubless trial", "hubless trial, deployed again"  # names of the hub, which its login page shows
PROFILE, SLEEPER = "lab", "sleeper"
HUB = """\
# Written by `hubless trial`.
[hub]
name = {name}

[[profiles]]
name = "{lab}"

[[profiles]]
name = "{sleeper}"
description = "It never answers, so its start lasts until the time-out."
command = ["sleep", "3600"]

[stages.{stage}]
"""
# Nothing may stay after a trial, and nobody needs its mails.
OVERRIDES: Mapping[str, Any] = {"keep_data": False, "log_days": 1, "alarm_email": "", "monthly_budget": 0}


def write(stage: Stage, source: Path | None, account: str, folder: Path) -> tuple[Path, Path]:
    """Write the settings of both deployments into *folder*. Return the two files.

    Args:
        stage: the operator's stage.
        source: the operator's settings.
        account: the only account that the CDK may deploy them to.
        folder: must exist.

    Raises:
        SettingsError: if hubless does not accept what was written.
    """
    table = parse_toml(read_text(source))[SECTION][stage.name] | OVERRIDES | {"account": account}
    files = folder / "first.toml", folder / "second.toml"
    for file, name in zip(files, (FIRST, SECOND), strict=True):
        head = HUB.format(name=_toml(name), lab=PROFILE, sleeper=SLEEPER, stage=stage.name)
        file.write_text(head + "".join(f"{key} = {_toml(given)}\n" for key, given in table.items()), encoding="utf-8")
        load_stage(file, stage.name)
    return files


def _toml(given: Any) -> str:
    """Return a text, number, flag or list of texts as TOML, which writes them as JSON does."""
    return json.dumps(given, ensure_ascii=False)

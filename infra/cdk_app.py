"""What `cdk` runs: `cdk deploy --all -c stage=NAME`."""

import sys
from pathlib import Path

from aws_cdk import App

from hubless.settings import DEFAULT_FILE, SettingsError
from hubless.settings.stage import load_stage
from infra.bundling import BundlingError
from infra.deployment import add_stacks
from infra.paths import TOP

BUNDLES = TOP / "cdk.out.bundles"


def main(app: App) -> None:
    """Write the stacks of the stage that the context names (`-c stage=NAME`, `-c settings=FILE`)."""
    given = app.node.try_get_context("settings")
    beside = TOP / DEFAULT_FILE
    file = Path(given) if given else beside if beside.exists() else None
    try:
        stage = load_stage(file, app.node.try_get_context("stage") or "")
        add_stacks(app, stage, settings_file=file, bundles=BUNDLES)
    except (SettingsError, BundlingError) as error:
        sys.exit(f"Nothing was deployed. {error}")
    app.synth()


if __name__ == "__main__":
    main(App())

"""The CDK app: what `cdk synth`, `cdk deploy` and the other commands run (cdk.json, infra/cdk-app.sh)."""

import sys
from pathlib import Path

from aws_cdk import App

from hubless.settings import DEFAULT_FILE, SettingsError
from hubless.settings.stage import Stage, StageSettings, load_stage, load_stages
from infra.bundling import BundlingError
from infra.constructs.function import Target
from infra.deployment import add_stacks
from infra.paths import TOP

BUNDLES = TOP / "cdk.out.bundles"
# The account of AWS's documentation. No one has its credentials, so no one deploys the example by mistake.
EXAMPLE = Stage("example", StageSettings(region="us-east-1", account="123456789012"))
NOTICE = """\
Notice: {file} has no [stages.NAME], so this is an example stage, which cannot be deployed.
To deploy a hub, describe a stage in {file} (docs/deploy.md) and choose it: cdk deploy --all -c stage=NAME
"""


def main(app: App) -> None:
    """Synthesize the stage that the context chooses.

    The context keys are `stage` (a name; the only stage if absent), `settings` (a file; hubless.toml at the top of the
    checkout if absent), `example` ("no" makes it an error that the settings have no stage) and `uncompiled` ("yes"
    leaves the functions' modules uncompiled, for a machine without their version of Python).
    """
    given = app.node.try_get_context("settings")
    beside = TOP / DEFAULT_FILE
    file = Path(given) if given else beside if beside.exists() else None
    try:
        stage = _stage(app, file)
        target = Target(is_compiled=stage is not EXAMPLE and app.node.try_get_context("uncompiled") != "yes")
        add_stacks(app, stage, settings_file=file, bundles=BUNDLES, target=target)
    except (SettingsError, BundlingError) as error:
        sys.exit(f"No stack was synthesized. {error}")
    app.synth()


def _stage(app: App, file: Path | None) -> Stage:
    name = app.node.try_get_context("stage") or ""
    if name or app.node.try_get_context("example") == "no" or load_stages(file):
        return load_stage(file, name)
    sys.stderr.write(NOTICE.format(file=file or DEFAULT_FILE))
    return EXAMPLE


if __name__ == "__main__":
    main(App())

"""What a stage needs whose profiles have `warm`: the reaper's permission to start tasks, and no homes."""

from dataclasses import replace

import pytest
from aws_cdk import App

from hubless.settings import SettingsError
from hubless.settings.stage import load_stage
from infra.deployment import add_stacks
from infra.iam_policies import GrantTargets, reaper_statements, spawn_statements
from infra.stacks.cluster import ClusterStack
from infra.stacks.state import StateStack

SETTINGS = """
[stages.prod]
region = "eu-central-1"
homes = {homes}
image = "quay.io/jupyter/minimal-notebook:2026-11-01"
[[profiles]]
name = "lab"
warm = 2
"""


def given(tmp_path, homes):
    file = tmp_path / "hubless.toml"
    file.write_text(SETTINGS.format(homes=homes))
    return App(outdir=str(tmp_path / "out")), load_stage(file), file


def rights_in(statements):
    return {action for statement in statements for action in statement.actions}


def test_the_reaper_may_start_tasks_where_a_profile_has_spares(tmp_path):
    app, stage, _ = given(tmp_path, "false")
    state = StateStack(app, stage)
    targets = GrantTargets(state, ClusterStack(app, stage, state=state, images=()), ())

    cold, warm = (rights_in(reaper_statements(replace(targets, has_spares=given))) for given in (False, True))

    assert warm - cold == {"ecs:RunTask"}
    assert "ecs:RunTask" in rights_in(spawn_statements(targets))


def test_a_stage_with_homes_is_not_deployed_with_spares(tmp_path):
    app, stage, file = given(tmp_path, "true")
    with pytest.raises(SettingsError, match=r"profiles\.lab\.warm must be 0: the stage has homes"):
        add_stacks(app, stage, settings_file=file, bundles=tmp_path / "bundles")

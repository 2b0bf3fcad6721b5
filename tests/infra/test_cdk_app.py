"""What `cdk synth` runs in a checkout: the command of cdk.json, and the app that it starts."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from aws_cdk import App

import infra.deployment
from infra import cdk_app
from infra.constructs import economy_edge
from tests.infra.synthesis import STAGES, TOP

CONFIGURATION = json.loads((TOP / "cdk.json").read_text())
CDK = TOP / ".venv-cdk/node_modules/.bin/cdk"
PROGRAMS = ("sh", "dirname")  # all that the command may need besides Python
SETTINGS = '[login]\nkind = "shared-password"\n'


# --- the command that finds a Python ---


@pytest.fixture
def checkout(tmp_path):
    """Return a checkout that was never set up, with a PATH that holds no Python."""
    folder = tmp_path / "a checkout"
    (folder / "infra").mkdir(parents=True)
    shutil.copy(TOP / "infra/cdk-app.sh", folder / "infra")
    (tmp_path / "bin").mkdir()
    for name in PROGRAMS:
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    return folder


def run(checkout, **environment):
    env = {"PATH": str(checkout.parent / "bin"), **environment}
    return subprocess.run(
        CONFIGURATION["app"], shell=True, cwd=checkout, env=env, capture_output=True, text=True, check=False
    )


def fake_python(path, *, has_packages=True):
    """Write a program that answers the question for packages, and prints how it was called otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exit {0 if has_packages else 1}\necho "$0 $@"\n')
    path.chmod(0o755)


def test_a_fresh_clone_says_that_make_deployer_is_missing(checkout):
    done = run(checkout)

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "hubless: no Python here has the packages of the CDK (aws-cdk-lib).",
        'Run "make deployer" once, which installs them into .venv, and repeat the command.',
    ]


def test_the_checkouts_own_python_comes_first(checkout):
    active = checkout.parent / "active environment"
    for path in (checkout / ".venv/bin/python", active / "bin/python", checkout.parent / "bin/python3"):
        fake_python(path)

    done = run(checkout, VIRTUAL_ENV=str(active))

    assert (done.returncode, done.stdout) == (0, ".venv/bin/python -m infra.cdk_app\n")


def test_a_python_without_the_packages_is_passed_over(checkout):
    active = checkout.parent / "active environment"
    fake_python(checkout / ".venv/bin/python", has_packages=False)  # as `make up` leaves it
    fake_python(active / "bin/python")

    assert run(checkout, VIRTUAL_ENV=str(active)).stdout == f"{active}/bin/python -m infra.cdk_app\n"

    fake_python(active / "bin/python", has_packages=False)
    fake_python(checkout.parent / "bin/python3")
    assert run(checkout, VIRTUAL_ENV=str(active)).stdout.endswith("/bin/python3 -m infra.cdk_app\n")


def test_python_keeps_what_it_compiles(checkout):
    checked = checkout / ".venv/bin/python"
    fake_python(checked)
    checked.write_text(checked.read_text() + 'echo "kept: ${PYTHONDONTWRITEBYTECODE-yes}"\n')

    assert "kept: yes" in run(checkout, PYTHONDONTWRITEBYTECODE="1").stdout


def test_this_python_is_one_that_has_the_packages(checkout):
    (checkout / "infra/__init__.py").touch()
    (checkout / "infra/cdk_app.py").write_text("print('the app runs')")
    (checkout / ".venv").symlink_to(sys.prefix)

    assert run(checkout).stdout == "the app runs\n"


def test_the_cdk_takes_the_settings_of_cdk_json(tmp_path):
    """CDK 2.1148 overwrites `aws:cdk:enable-*-metadata` of the context: only the top-level keys turn metadata off."""
    app = f"{sys.executable} -c \"import os; open('context', 'w').write(os.environ['CDK_CONTEXT_JSON']); exit(1)\""
    (tmp_path / "cdk.json").write_text(json.dumps(CONFIGURATION | {"app": app}))
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}

    subprocess.run([CDK, "synth"], cwd=tmp_path, env=env, capture_output=True, check=False)

    context = json.loads((tmp_path / "context").read_text())
    assert CONFIGURATION["context"].items() <= context.items()
    assert not {"aws:cdk:enable-path-metadata", "aws:cdk:enable-asset-metadata"} & context.keys()


# --- the app ---


@pytest.fixture
def app(tmp_path, monkeypatch):
    """Return a function that makes an app with a context; bundles are empty folders, and hubless.toml is absent."""

    def bundle(function, **_):
        folder = tmp_path / "bundles" / function
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    monkeypatch.setattr(infra.deployment, "bundle", bundle)
    monkeypatch.setattr(cdk_app, "TOP", tmp_path)
    return lambda **context: App(outdir=str(tmp_path / "out"), context=CONFIGURATION["context"] | context)


def test_without_a_stage_an_example_is_synthesized_with_a_notice(app, tmp_path, capsys):
    cdk_app.main(app())

    stacks = json.loads((tmp_path / "out/manifest.json").read_text())["artifacts"]
    environments = {
        name: one["environment"] for name, one in stacks.items() if one["type"] == "aws:cloudformation:stack"
    }
    assert set(environments) == {
        f"hubless-example-{part}" for part in ("account", "state", "cluster", "web", "control", "watch")
    }
    # Nobody has credentials of this account: a deployment of the example fails before it changes anything.
    assert set(environments.values()) == {"aws://123456789012/us-east-1"}
    notice = capsys.readouterr().err
    assert "hubless.toml has no [stages.NAME], so this is an example stage, which cannot be deployed" in notice
    assert "docs/deploy.md" in notice


@pytest.mark.parametrize(
    ("settings", "context", "message"),
    [
        (SETTINGS, {"example": "no"}, r"has no \[stages\.NAME\], which says what to deploy"),  # make deploy
        (SETTINGS, {"stage": "prod"}, r"has no \[stages\.NAME\]"),
        (STAGES, {}, "has several stages: choose one of alb, fleet, prod"),
        (STAGES, {"stage": "nowhere"}, r"has no \[stages\.nowhere\]: choose one of alb, fleet, prod"),
        ("[stages.prod]\n", {}, r"stages\.prod\.region is missing"),
    ],
)
def test_a_stage_that_cannot_be_chosen_is_an_error(app, tmp_path, settings, context, message):
    (tmp_path / "school.toml").write_text(settings)

    with pytest.raises(SystemExit, match=rf"^No stack was synthesized\. .*school\.toml.*{message}"):
        cdk_app.main(app(settings=str(tmp_path / "school.toml"), **context))


@pytest.fixture
def no_interpreter(monkeypatch):
    monkeypatch.setattr("infra.bundling._interpreter", lambda _: None)


def test_functions_that_cannot_be_compiled_are_refused_with_the_cure(app, tmp_path, no_interpreter):
    (tmp_path / "school.toml").write_text(STAGES)
    given = {"settings": str(tmp_path / "school.toml"), "stage": "alb"}

    with pytest.raises(SystemExit, match=r"^No stack was synthesized\. Python 3\.13.*`uv python install 3\.13`"):
        cdk_app.main(app(**given))

    cdk_app.main(app(**given, uncompiled="yes"))


def test_the_example_and_a_removal_need_no_python_of_lambdas(app, no_interpreter):
    cdk_app.main(app())

    (destroys,) = [line for line in Path(TOP / "Makefile").read_text().splitlines() if "$(CDK) destroy" in line]
    assert " -c uncompiled=yes " in destroys


def test_make_deploys_and_destroys_no_example():
    commands = [line for line in Path(TOP / "Makefile").read_text().splitlines() if line.startswith("\t$(CDK) ")]

    assert len(commands) == 2
    assert all(" -c example=no " in command for command in commands)


def test_an_edge_that_two_deployments_build_at_once_is_one_folder(tmp_path, monkeypatch):
    code = tmp_path / "edge-1"
    code.mkdir()
    copy, copied = shutil.copytree, []

    def copytree(source, target):
        copied.append(source)
        if len(copied) == 1:  # another deployment begins and ends meanwhile
            economy_edge._with_installer(code, {"PORT": "1"}, tmp_path)
        return copy(source, target)

    monkeypatch.setattr(economy_edge.shutil, "copytree", copytree)
    made = economy_edge._with_installer(code, {"PORT": "1"}, tmp_path)

    assert (made / "economy/edge.env").read_text() == "PORT=1\n"
    assert set(tmp_path.iterdir()) == {code, made}

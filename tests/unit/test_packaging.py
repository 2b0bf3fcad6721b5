"""What an installation of hubless brings along, and what a bundle for AWS has of it."""

import re
import tomllib
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())
CHANGELOG = (TOP / "CHANGELOG.md").read_text()
HOOKS = (TOP / ".pre-commit-config.yaml").read_text()
WORKFLOW = (TOP / ".github/workflows/ci.yml").read_text()
GROUPS = PROJECT["dependency-groups"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
ONLY_ON_LAMBDA = {"mangum>=0.19", "aws-lambda-powertools>=3.20"}


def test_bundles_and_installations_ask_for_the_same_versions():
    installed = {*PROJECT["project"]["dependencies"], *EXTRAS["aws"]}
    bundled = {one for name in ("api", "functions", "dynamodb") for one in GROUPS[name] if isinstance(one, str)}
    assert bundled - installed == ONLY_ON_LAMBDA


def test_the_tests_environment_has_every_extra():
    assert f"hubless[{','.join(sorted(EXTRAS))}]" in GROUPS["test"]


def test_the_changelog_has_the_projects_version():
    assert re.search(
        rf"^## \[{re.escape(PROJECT['project']['version'])}\] - \d{{4}}-\d\d-\d\d$", CHANGELOG, re.MULTILINE
    )


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md"])
def test_a_page_links_to_files_that_exist(name):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (TOP / name).read_text())
    assert [link for link in links if not (TOP / link).exists()] == []


def test_hooks_and_the_workflow_run_commands_that_exist():
    commands = re.findall(r"^ +(?:entry|- run): (.+)$", HOOKS + WORKFLOW, re.MULTILINE)
    targets = set(re.findall(r"^([a-z-]+):", (TOP / "Makefile").read_text(), re.MULTILINE))
    assert len(commands) == 4
    for program, *words in map(str.split, commands):
        assert (words[0] in targets) if program == "make" else (TOP / program).exists(), program


def test_the_workflow_tries_every_python_that_the_project_names():
    named = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["project"]["classifiers"]))
    assert re.findall(r'"(3\.\d+)"', WORKFLOW) == named
    assert PROJECT["project"]["requires-python"] == f">={named[0]}"

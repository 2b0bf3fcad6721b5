"""What an installation of hubless brings along, and what a bundle for AWS has of it."""

import tomllib
from pathlib import Path

TOP = Path(__file__).parents[2]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
ONLY_ON_LAMBDA = {"mangum>=0.19", "aws-lambda-powertools>=3.20"}


def test_bundles_and_installations_ask_for_the_same_versions():
    installed = {*PROJECT["project"]["dependencies"], *EXTRAS["aws"]}
    bundled = {one for name in ("api", "functions", "dynamodb") for one in GROUPS[name] if isinstance(one, str)}
    assert bundled - installed == ONLY_ON_LAMBDA


def test_the_tests_environment_has_every_extra():
    assert f"hubless[{','.join(sorted(EXTRAS))}]" in GROUPS["test"]

"""Data flows one way, each function loads only what it needs, and every error has a status."""

import subprocess
import sys

import pytest

from hubless.domain import errors


def test_imports_follow_the_layers():
    lint = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert lint.returncode == 0, lint.stdout[-3000:] + lint.stderr[-1000:]


@pytest.mark.parametrize("module", ["functions.spawn.dispatch", "functions.reaper.sweep"])
def test_functions_without_a_web_load_no_web(module):
    code = f"import sys, {module}; print(*sorted({{m.partition('.')[0] for m in sys.modules}}))"

    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )

    assert not loaded & {"starlette", "pydantic", "jinja2", "uvicorn", "mangum", "boto3", "botocore", "argon2"}


def test_every_error_has_a_status():
    from functions.api.error_handlers import STATUSES

    known = {e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.HublessError)}
    assert set(STATUSES) == known - {errors.HublessError}

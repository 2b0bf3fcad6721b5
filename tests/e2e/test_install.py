"""A wheel from the source archive, in a new environment, is a working hub, and says what it lacks for AWS."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.support.free_port import free_port

TOP = Path(__file__).parents[2]
UV = shutil.which("uv") or str(TOP / ".venv-uv/bin/uv")
SECONDS = 120
PASSWORD = "correct horse battery"
NO_AWS = (
    r"the Python package \w+(\.\w+)*, which is not installed. Install the extra `aws`: pip install 'hubless\[aws\]'"
)
STAGE = """
[stages.prod]
account = "123456789012"
region = "eu-central-1"
domain = "hub.example.org"
zone_id = "Z0123456789"
zone_name = "example.org"
"""


@pytest.fixture(scope="module")
def hubless(tmp_path_factory):
    """Return the command of a hub that is installed from a wheel, with no module of the checkout near it."""
    folder = tmp_path_factory.mktemp("installed")
    run(UV, "build", "--quiet", "--out-dir", folder, TOP)
    run(UV, "venv", "--quiet", "--no-project", "--python", sys.executable, folder / "venv")
    run(UV, "pip", "install", "--quiet", "--python", folder / "venv", *folder.glob("*.whl"))
    return folder / "venv" / "bin" / "hubless"


@pytest.fixture
def empty(tmp_path):
    (tmp_path / "hubless.toml").write_text(
        f"[hub]\nport = {free_port()}\n[servers]\nvirtual_environment = '{TOP}/.venv-servers'\n"
    )
    return tmp_path


def run(*command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_installed_hub_starts_and_a_user_gets_a_server(hubless, empty):
    port = free_port()
    run(hubless, "user", "add", "maria", "--admin", "--password-stdin", cwd=empty, input=f"{PASSWORD}\n")
    command = [hubless, "up", "--port", str(port), "--ready-line", "--stop-servers-on-exit"]
    log = empty / "log"
    with (
        log.open("wb") as out,
        subprocess.Popen(command, cwd=empty, stdout=subprocess.PIPE, stderr=out, text=True) as hub,
    ):
        try:
            assert hub.stdout.readline() == "ready\n", log.read_text()
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", follow_redirects=True, timeout=SECONDS) as browser:
                browser.get("/hub/login")
                form = {"username": "maria", "password": PASSWORD, "_xsrf": browser.cookies["_xsrf"]}
                home = browser.post("/hub/login", params={"next": "/hub/home"}, data=form)
                assert (home.status_code, home.url.path) == (200, "/hub/home")
                assert "Hallo, maria" in browser.get("/hub/home", headers={"Accept-Language": "de"}).text
                assets = re.findall(r'(?:href|src)="(/hub/static/[^"]+)"', home.text)
                assert {browser.get(asset).status_code for asset in assets} == {200}
                assert browser.get("/hub/admin").status_code == 200
            token = run(hubless, "token", "maria", cwd=empty).strip()
            assert start_server(f"http://127.0.0.1:{port}", token) == 200
            assert f"http://127.0.0.1:{port}" in run(hubless, "status", cwd=empty)
        finally:
            hub.terminate()
            assert hub.wait(SECONDS) == 0


def start_server(url, token):
    """Start the server of maria and return what it answers."""
    headers = {"Authorization": f"token {token}"}
    started = httpx.post(f"{url}/hub/api/users/maria/server", headers=headers, timeout=SECONDS)
    assert started.status_code in {201, 202}
    give_up_at = time.monotonic() + SECONDS
    while not httpx.get(f"{url}/hub/api/users/maria", headers=headers).json()["servers"].get("", {}).get("ready"):
        assert time.monotonic() < give_up_at
        time.sleep(0.2)
    return httpx.get(f"{url}/user/maria/api/status", headers=headers, timeout=SECONDS).status_code


def test_commands_of_one_machine_need_nothing_else(hubless, empty):
    assert run(hubless, "--version", cwd=empty).startswith("hubless 0.")
    assert "/hub/" in run(hubless, "user", "add", "maria", cwd=empty)
    assert "maria" in run(hubless, "user", "list", cwd=empty)
    assert "Everything is fine" in run(hubless, "check", cwd=empty)
    assert "a month" in run(hubless, "cost", "--users", "5", cwd=empty)


def test_a_check_says_what_the_first_start_installs(hubless, tmp_path):
    (tmp_path / "hubless.toml").write_text("[servers]\nrun_as_system_users = false\n")
    said = run(hubless, "check", cwd=tmp_path, env={"PATH": "/usr/bin:/bin"})
    assert said.endswith("It installs JupyterLab for users' servers first.\n")


@pytest.mark.parametrize(
    "command", ["preflight", "doctor", "empty --yes", "user list --stage prod", "admin maria --stage prod"]
)
def test_commands_for_aws_say_which_extra_they_need(command, hubless, empty):
    (empty / "hubless.toml").write_text(STAGE)
    done = subprocess.run([hubless, *command.split()], cwd=empty, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(NO_AWS, done.stderr), done.stderr

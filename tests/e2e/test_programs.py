"""Programs of other projects, unmodified, against a whole hub (`make programs`), each in an environment of its own."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import httpx
import pytest

from tests.support.free_port import free_port
from tests.support.local_hub import LocalHub

pytestmark = pytest.mark.programs

TOP = Path(__file__).parents[2]
ADMIN_TOKEN, GRADER_TOKEN, GATEWAY_TOKEN, ANNOUNCER_TOKEN = (
    f"{name}-token-0123456789" for name in ("programs", "grader", "gateway", "announcer")
)
PASSWORD, OF_ADMINS = "programs of the field", "programs that only admins use"
SETTINGS = f"""
[login]
kind = "shared-password"
password = "{PASSWORD}"
admins = ["boss"]
admin_password = "{OF_ADMINS}"
[servers]
run_as_system_users = false
[[services]]
name = "tests"
admin = true
token = "{ADMIN_TOKEN}"
[[services]]
name = "course101"
token = "{GRADER_TOKEN}"
[[services]]
name = "dask-gateway"
token = "{GATEWAY_TOKEN}"
[[services]]
name = "announcement"
url = "http://127.0.0.1:ANNOUNCER_PORT"
token = "{ANNOUNCER_TOKEN}"
oauth_no_confirm = true
[[roles]]
name = "user"
scopes = ["self", "access:services!service=announcement"]
[[roles]]
name = "formgrader"
scopes = ["list:users", "read:users:groups", "groups", "admin:groups"]
services = ["course101"]
[[roles]]
name = "gateway-users"
scopes = ["access:services!service=dask-gateway", "self"]
groups = ["dask"]
"""
NBGRADER = """
from nbgrader.auth import JupyterHubAuthPlugin
plugin = JupyterHubAuthPlugin()
plugin.add_student_to_course("maria@example.org", "c101")
plugin.add_student_to_course("maria@example.org", "c101")
plugin.add_student_to_course("tom", "c101")
print(plugin.get_student_courses("maria@example.org"))
plugin.remove_student_from_course("maria@example.org", "c101")
print(plugin.get_student_courses("maria@example.org"), plugin.get_student_courses("tom"))
"""
DASK_GATEWAY = """
import asyncio, sys
from types import SimpleNamespace
from aiohttp import web
from dask_gateway_server.auth import JupyterHubAuthenticator
async def main():
    authenticator = JupyterHubAuthenticator()
    await authenticator.setup(SimpleNamespace(on_cleanup=[], log=None))
    for token in sys.argv[1:]:
        try:
            user = await authenticator.authenticate(SimpleNamespace(headers={"Authorization": f"jupyterhub {token}"}))
            print(user.name, sorted(user.groups), user.admin)
        except web.HTTPException as refused:
            print(refused.status)
    await authenticator.cleanup()
asyncio.run(main())
"""
JHUB_CLIENT = """
import asyncio, sys
from jhub_client.execute import execute_code
cells = [("print(6 * 7)", "42"), ("print('done')", "done")]
async def main():
    options = {"create_user": True, "delete_user": True, "validate": True}
    print(await execute_code(sys.argv[1], cells, username=sys.argv[2], **options))
asyncio.run(main())
"""


class Hub(LocalHub):
    def __init__(self, folder):
        self.announcer_port = free_port()
        settings = SETTINGS.replace("ANNOUNCER_PORT", str(self.announcer_port))
        super().__init__(folder, settings, admin_token=ADMIN_TOKEN)


@pytest.fixture(scope="module")
def hub():
    folder = Path(tempfile.mkdtemp(prefix="hubless-programs-"))
    one = Hub(folder)
    yield one
    one.close()
    shutil.rmtree(folder, ignore_errors=True)


def run(hub, program, script, *arguments, token, **environment):
    """Run *script* in the environment of *program*, as a service of the hub, and return what it prints."""
    python = TOP / f".venv-programs-{program}" / "bin" / "python"
    assert python.exists(), f"{program} is not installed: make programs does"
    hubs = {"JUPYTERHUB_API_URL": f"{hub.url}/hub/api", "JUPYTERHUB_API_TOKEN": token}
    done = subprocess.run(
        [python, "-c", script, *arguments],
        check=False,
        env=os.environ | hubs | environment,
        cwd=hub.folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


def token_of(hub, user):
    hub.admin.post(f"/users/{user}")
    return hub.admin.post(f"/users/{user}/tokens", json={}).json()["token"]


def test_nbgraders_plug_in_adds_students_to_courses_and_removes_them(hub):
    for user in ("maria@example.org", "tom"):
        hub.admin.post(f"/users/{user}").raise_for_status()
    told = run(hub, "nbgrader", NBGRADER, token=GRADER_TOKEN, JUPYTERHUB_USER="course101")
    assert told == ["['c101']", "[] ['c101']"]
    assert hub.admin.get("/groups/nbgrader-c101").json()["users"] == ["tom"]


def test_dask_gateway_lets_in_who_may_use_it(hub):
    member, stranger = token_of(hub, "member"), token_of(hub, "stranger")
    hub.admin.post("/groups/dask")
    hub.admin.post("/groups/dask/users", json={"users": ["member"]}).raise_for_status()
    own = hub.admin.post("/users/member/tokens", json={}).json()["token"]
    service = {"JUPYTERHUB_SERVICE_NAME": "dask-gateway"}
    told = run(hub, "dask-gateway", DASK_GATEWAY, own, member, stranger, "unknown", token=GATEWAY_TOKEN, **service)
    # It takes JupyterHub's 403 for a token that the hub does not know to be its own failure.
    assert told == ["member ['dask'] False", "member ['dask'] False", "401", "500"]


@pytest.mark.parametrize("user", ["ada", "ada.b+c@example.org", "ada [lab]"])
def test_jhub_client_makes_a_user_runs_cells_and_cleans_up(hub, user):
    told = run(hub, "jhub-client", JHUB_CLIENT, hub.url, user, token=ADMIN_TOKEN)
    assert "42" in told[-1]
    assert hub.admin.get(f"/users/{user}").status_code == 404


@pytest.fixture
def announcement(hub, tmp_path):
    """Yield the address of jupyterhub-announcement, which runs beside the hub."""
    prefix = "/services/announcement/"
    environment = {
        "JUPYTERHUB_API_TOKEN": ANNOUNCER_TOKEN,
        "JUPYTERHUB_API_URL": f"{hub.url}/hub/api",
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_SERVICE_NAME": "announcement",
        "JUPYTERHUB_SERVICE_PREFIX": prefix,
        "JUPYTERHUB_CLIENT_ID": "service-announcement",
        "JUPYTERHUB_OAUTH_SCOPES": '["access:services!service=announcement"]',
    }
    python = TOP / ".venv-programs-announcement" / "bin" / "python"
    assert python.exists(), "announcement is not installed: make programs does"
    command = [python, "-m", "jupyterhub_announcement", f"--AnnouncementService.port={hub.announcer_port}"]
    service = subprocess.Popen(command, env=os.environ | environment, cwd=tmp_path)
    give_up_at = time.monotonic() + 60
    while httpx.get(f"{hub.url}{prefix}latest").status_code != 200:
        assert time.monotonic() < give_up_at, "the service does not answer"
        time.sleep(0.1)
    yield f"{hub.url}{prefix}"
    service.terminate()
    service.wait(10)


def log_in(page, name, password):
    page.fill("[name=username]", name)
    page.fill("[name=password]", password)
    page.get_by_role("button", name="Log in").click()


def test_announcements_are_made_by_admins_and_read_by_all(announcement, new_page):
    page = new_page()
    page.goto(announcement)
    log_in(page, "boss", OF_ADMINS)
    page.wait_for_url(announcement)
    page.get_by_label("Announcement").fill("No servers on <em>Friday</em>")
    page.get_by_role("button", name="Submit").click()
    page.locator("em", has_text="Friday").wait_for()

    page = new_page()
    page.goto(announcement)
    log_in(page, "tom", PASSWORD)
    page.wait_for_url(announcement)
    assert "No servers on" in page.locator("body").inner_text()
    assert page.get_by_label("Announcement").count() == 0
    said = httpx.get(f"{announcement}latest").json()
    assert (said["user"], said["announcement"]) == ("boss", "No servers on <em>Friday</em>")

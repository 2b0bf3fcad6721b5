"""Programs of other projects, unmodified, against a whole hub (`make programs`), each in an environment of its own."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.support.local_hub import LocalHub

pytestmark = pytest.mark.programs

TOP = Path(__file__).parents[2]
ADMIN_TOKEN, GRADER_TOKEN, GATEWAY_TOKEN = (f"{name}-token-0123456789" for name in ("programs", "grader", "gateway"))
SETTINGS = f"""
[login]
kind = "shared-password"
password = "programs of the field"
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


@pytest.fixture(scope="module")
def hub():
    folder = Path(tempfile.mkdtemp(prefix="hubless-programs-"))
    one = LocalHub(folder, SETTINGS, admin_token=ADMIN_TOKEN)
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

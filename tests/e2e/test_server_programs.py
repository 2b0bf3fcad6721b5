"""Extensions of other projects in users' servers, unmodified, in a real browser (`make programs`).

Each has an environment of its own, as an image of its own would have.
"""

import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from tests.support.free_port import free_port
from tests.support.local_hub import LocalHub

pytestmark = pytest.mark.programs

TOP = Path(__file__).parents[2]
ADMIN_TOKEN, PASSWORD = "extensions-token-0123456789", "programs in servers"
TIMEOUT_SECONDS = 120
SETTINGS = """
[login]
kind = "shared-password"
password = "{password}"
[servers]
run_as_system_users = false
named_limit = 1
[[profiles]]
name = "default"
command = ["{program}"]
args = {args}
[[services]]
name = "tests"
admin = true
token = "{token}"
"""
QUIET = ["--ServerApp.terminals_enabled=False", "--LabApp.news_url=None"]
# A page whose heading changes only when a click has gone to bokeh's server and back, which is a websocket.
CLICKS = """
from bokeh.io import curdoc
from bokeh.models import Button, Div
told, button = Div(text="not clicked"), Button(label="Count")
clicks = []
def count():
    clicks.append(1)
    told.text = f"clicked {len(clicks)} times"
button.on_click(count)
curdoc().add_root(button)
curdoc().add_root(told)
"""
WHO_AM_I = """async () => {
  const headers = {"X-XSRFToken": document.cookie.match(/_xsrf=([^;]+)/)[1]};
  return (await fetch("/user/ada/api/me", {headers})).json() }"""


@contextlib.contextmanager
def hub_of(program, *args, port=None):
    """Yield a hub whose servers are of the environment of *program*."""
    server = TOP / f".venv-programs-{program}" / "bin" / "jupyterhub-singleuser"
    assert server.exists(), f"{program} is not installed: make programs does"
    folder = Path(tempfile.mkdtemp(prefix="hubless-extensions-"))
    made = {"password": PASSWORD, "program": server, "args": json.dumps([*QUIET, *args]), "token": ADMIN_TOKEN}
    hub = LocalHub(folder, SETTINGS.format(**made), port=port, admin_token=ADMIN_TOKEN)
    try:
        yield hub
    finally:
        print(hub.log()[-5000:])  # shown with a failure
        hub.close()
        shutil.rmtree(folder, ignore_errors=True)


def log_in(page, name):
    page.fill("[name=username]", name)
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Log in").click()


def start(hub, user, server=""):
    hub.admin.post(f"/users/{user}")
    hub.admin.post(f"/users/{user}/servers/{server}").raise_for_status()
    give_up_at = time.monotonic() + TIMEOUT_SECONDS
    while not hub.admin.get(f"/users/{user}").json()["servers"].get(server, {}).get("ready"):
        assert time.monotonic() < give_up_at, "never ready"
        time.sleep(0.1)


def put(hub, user, name, text):
    """Write a file into the user's home, as the user's programs do."""
    own = hub.admin.post(f"/users/{user}/tokens", json={}).json()["token"]
    address = f"{hub.url}/user/{quote(user)}/api/contents/{name}"
    file = {"type": "file", "format": "text", "content": text}
    made = hub.admin.put(address, headers={"Authorization": f"token {own}"}, json=file)
    assert made.status_code == 201, made.text


# --- jupyter-collaboration ---


def editor_of(page):
    return page.locator(".jp-FileEditor .cm-content")


def test_two_users_write_one_document_by_a_share(new_page):
    with hub_of("collaboration") as hub:
        start(hub, "ada")
        put(hub, "ada", "plan.txt", "the plan:")
        code = hub.admin.post("/share-codes/ada/", json={}).json()["code"]
        document = f"{hub.url}/user/ada/lab/tree/plan.txt"

        ada, ben = new_page(), new_page()
        ada.goto(document)
        log_in(ada, "ada")
        editor_of(ada).get_by_text("the plan:").wait_for()
        ben.goto(f"{hub.url}/hub/accept-share?code={code}")
        log_in(ben, "ben")
        ben.get_by_role("button", name="Accept and open").click()
        ben.wait_for_url(f"{hub.url}/user/ada/**")
        ben.goto(document)
        editor_of(ben).get_by_text("the plan:").wait_for()

        editor_of(ada).click()
        ada.keyboard.press("Control+End")
        ada.keyboard.type(" ada begins,")
        editor_of(ben).get_by_text("the plan: ada begins,").wait_for()
        editor_of(ben).click()
        ben.keyboard.press("Control+End")
        ben.keyboard.type(" ben goes on")
        editor_of(ada).get_by_text("the plan: ada begins, ben goes on").wait_for()

        assert ben.evaluate(WHO_AM_I)["identity"]["username"] == "ben"


# --- jupyter-server-proxy ---


def test_a_bokeh_app_runs_behind_jupyter_server_proxy(new_page):
    bokeh = TOP / ".venv-programs-server-proxy" / "bin" / "bokeh"
    hub_port, app_port = free_port(), free_port()
    serve = [str(bokeh), "serve", "clicks.py", f"--port={app_port}", f"--allow-websocket-origin=127.0.0.1:{hub_port}"]
    # A program that is reached by several addresses must not say where its scripts are.
    environment = {"BOKEH_RESOURCES": "inline"}
    named = {"counting": {"command": serve, "port": app_port, "timeout": 60, "environment": environment}}
    user = "ada.b+c@example.org"
    with hub_of("server-proxy", f"--ServerProxy.servers={named}", port=hub_port) as hub:
        start(hub, user)
        start(hub, user, "second")
        put(hub, user, "clicks.py", CLICKS)
        page = new_page()
        page.goto(f"{hub.url}/hub/login")
        log_in(page, user)
        page.wait_for_url("**/user/**")
        at = f"{hub.url}/user/ada.b+c%40example.org"
        for entry in ("counting", f"proxy/{app_port}", f"second/proxy/{app_port}"):  # the first starts the program
            page.goto(f"{at}/{entry}/clicks")
            page.get_by_role("button", name="Count").click()
            page.get_by_text("clicked 1 times").wait_for()

        page.context.clear_cookies()
        page.goto(f"{at}/proxy/{app_port}/clicks")
        assert "/hub/login" in page.url


# --- nbgitpuller ---


def git(folder, *arguments):
    person = ["-c", "user.name=Teacher", "-c", "user.email=teacher@example.org"]
    subprocess.run(["git", *person, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def course(tmp_path):
    """Yield a repository and its address on this machine; servers do not see the folders of others."""
    folder, port = tmp_path / "course", free_port()
    folder.mkdir()
    git(folder, "init", "--initial-branch", "spring/2026")
    serve = ["git", "daemon", "--reuseaddr", "--export-all", "--listen=127.0.0.1", f"--port={port}"]
    daemon = subprocess.Popen([*serve, f"--base-path={tmp_path}"])
    wait_for(port)
    yield folder, f"git://127.0.0.1:{port}/course"
    daemon.terminate()
    daemon.wait(10)


def wait_for(port):
    give_up_at = time.monotonic() + TIMEOUT_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert time.monotonic() < give_up_at, f"nothing listens at {port}"
        time.sleep(0.1)


def test_a_link_of_nbgitpuller_brings_its_files_through_login_and_start(new_page, course):
    folder, address = course
    note = folder / "Week 1" / "a+b & c% für alle.txt"
    note.parent.mkdir()
    note.write_text("welcome to the course")
    git(folder, "add", ".")
    git(folder, "commit", "--message", "First week")
    opened = f"lab/tree/course/{quote(str(note.relative_to(folder)))}"
    link = f"git-pull?{urlencode({'repo': address, 'branch': 'spring/2026', 'urlpath': opened})}"
    with hub_of("nbgitpuller") as hub:
        page = new_page()
        page.goto(f"{hub.url}/hub/user-redirect/{link}")
        log_in(page, "ada")
        page.wait_for_url(f"{hub.url}/user/ada/lab/tree/**")
        page.locator(".jp-FileEditor .cm-content").get_by_text("welcome to the course").wait_for()

        note.write_text("welcome back")
        git(folder, "commit", "--all", "--message", "Second week")
        page.goto(f"{hub.url}/hub/user-redirect/{link}")
        page.locator(".jp-FileEditor .cm-content").get_by_text("welcome back").wait_for()

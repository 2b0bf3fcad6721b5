"""A browser reaches users' hosts by a load balancer alone, and the hub's host by another way (ADR 37).

The hub, HAProxy with its agent, a Jupyter server and Chromium are real. TLS and PROXY protocol come from the double of
the load balancer. The hub's own host has a proxy that ends TLS in place of CloudFront.
"""

import shutil
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from edge_proxy.agent import Agent
from edge_proxy.haproxy_config import EdgeConfiguration
from hubless.adapters.sqlite.database import Database
from hubless.adapters.sqlite.routes import SqliteRouteStore
from hubless.adapters.system_clock import SystemClock
from tests.doubles.network_balancer import network_balancer
from tests.e2e.conftest import QUIET, SECONDS
from tests.e2e.test_subdomains import ADMIN_TOKEN, PASSWORD, RUN, SETTINGS
from tests.support.concurrency import eventually
from tests.support.free_port import free_port
from tests.support.http_servers import certificate
from tests.support.local_hub import LocalHub

pytestmark = pytest.mark.real
HUB, ALICE = "hub.example.org", "alice.hub.example.org"
ASK = """(path) => fetch(path, {headers: {Accept: 'application/json'}})
  .then(async (answer) => [answer.status, await answer.json()], (error) => [0, String(error)])"""


class Direct:
    """A hub at https://hub.example.org whose users' hosts lead to another edge."""

    def __init__(self, folder, undo):
        url = f"https://{HUB}"
        self.hub = LocalHub(
            folder, SETTINGS.format(url=url, password=PASSWORD, token=ADMIN_TOKEN), admin_token=ADMIN_TOKEN
        )
        undo.callback(self.hub.close)
        edge_port = free_port()
        edge = EdgeConfiguration(
            "127.0.0.1", edge_port, None, folder / "edge", domain=HUB, is_direct=True, access_log=True
        )
        routes = SqliteRouteStore(Database(folder / "data" / "hub.sqlite"))
        agent = Agent(edge, routes, edge_id="direct", clock=SystemClock().now, poll_seconds=0.2)
        undo.callback(agent.close)
        agent.start()
        leaving = threading.Event()
        following = threading.Thread(target=agent.run, args=(leaving,))
        following.start()
        undo.callback(following.join)
        undo.callback(leaving.set)
        pem = certificate(folder, HUB)
        self.hub_port = undo.enter_context(network_balancer(pem, self.hub.port, address=""))
        self.users_port = undo.enter_context(network_balancer(pem, edge_port))

    def browser_options(self):
        rules = f"MAP {HUB}:443 127.0.0.1:{self.hub_port}, MAP *.{HUB}:443 127.0.0.1:{self.users_port}"
        return [*QUIET, f"--host-resolver-rules={rules}", "--ignore-certificate-errors"]

    def is_server(self, state):
        """Say whether Alice's server is `ready` or `stopped`."""
        servers = self.hub.admin.get("/users/alice?include_stopped_servers=true").json()["servers"]
        return bool(servers.get("", {}).get(state))

    def stop(self):
        self.hub.admin.delete("/users/alice/server")
        eventually(lambda: self.is_server("stopped"), within=60)


@pytest.fixture(scope="module")
def direct():
    folder = Path(tempfile.mkdtemp(prefix="hubless-direct-", dir="/tmp"))
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        one = Direct(folder, undo)
        one.hub.admin.post("/users/alice")
        yield one


@pytest.fixture(scope="module")
def page(direct):
    """Return Alice's browser, in her server at her own host."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "Chromium is not installed: make test installs it as root, or says how"
    direct.hub.admin.post("/users/alice/server").raise_for_status()
    eventually(lambda: direct.is_server("ready"), within=90)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=direct.browser_options())
        opened = browser.new_context().new_page()
        opened.context.route("**/static/lab/*.js", lambda route: route.abort())  # the page is enough
        opened.set_default_timeout(SECONDS)
        opened.goto(f"https://{ALICE}/user/alice/lab")
        opened.fill("[name=username]", "alice")
        opened.fill("[name=password]", PASSWORD)
        opened.get_by_role("button", name="Log in").click()
        opened.wait_for_url(f"https://{ALICE}/user/alice/lab*")
        yield opened
        browser.close()


def test_a_person_logs_in_and_runs_a_kernel_at_their_own_host(direct, page):
    assert page.evaluate(RUN, "/user/alice/") == "42"
    kept = {(cookie["name"], cookie["domain"], cookie["secure"]) for cookie in page.context.cookies()}
    assert ("__Host-jupyterhub-hub-login", HUB, True) in kept
    assert not [name for name, domain, _ in kept if domain == ALICE and "hub-login" in name]


def test_a_link_of_the_hub_at_a_users_host_leads_to_the_hub(page):
    page.goto(f"https://{ALICE}/hub/home")
    assert page.url == f"https://{HUB}/hub/home"
    page.goto(f"https://{ALICE}/user/alice/lab")
    assert page.url.startswith(f"https://{ALICE}/user/alice/lab")


def test_a_stopped_server_shows_the_hubs_page_and_starts_from_there(direct, page):
    page.goto(f"https://{ALICE}/user/alice/lab")
    direct.stop()
    eventually(lambda: page.evaluate(ASK, "/user/alice/api/status")[0] == 424, within=30)

    told = page.evaluate(ASK, "/user/alice/api/status")
    with page.expect_response(f"https://{ALICE}/user/alice/lab/tree/a%20b") as edges:
        page.goto(f"https://{ALICE}/user/alice/lab/tree/a%20b")

    assert edges.value.headers["location"] == f"https://{HUB}/hub/user/alice/lab/tree/a%20b"
    assert told[1] == {"status": 424, "message": f"This server does not run. The hub is at https://{HUB}"}
    assert page.url == f"https://{HUB}/hub/user/alice/lab/tree/a%20b"
    page.get_by_role("button", name="Start").or_(page.get_by_role("link", name="Start")).first.click()
    page.wait_for_url(f"https://{ALICE}/user/alice/lab/tree/a%20b**")
    assert direct.is_server("ready")

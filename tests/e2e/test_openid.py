"""Logins by OpenID Connect in a browser, at a real provider: npm's oidc-provider on another host than the hub."""

import re
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import expect

from tests.support.free_port import free_port
from tests.support.local_hub import LocalHub
from tests.support.openid import SECRET, OidcProvider, client_of

ADMIN = "admin-service-token-0123456789"
SETTINGS = """
[hub]
contact = "Ask the help desk, room 101."

[login]
kind = "password"
sign_up = true
allow_all = true
blocked_users = ["mallory"]
auth_state = true

[servers]
fork_servers = false  # nobody starts one

[[providers]]
name = "sso"
kind = "oidc"
display_name = "Our SSO"
issuer = "{issuer}"
client_id = "hub"
client_secret = "{secret}"
scopes = ["openid", "email", "profile"]
logout_at_provider = true

[[providers]]
name = "second"
kind = "oidc"
display_name = "Partners"
issuer = "{second}"
client_id = "hub"
client_secret = "{secret}"

[[services]]
name = "admin"
token = "{token}"
admin = true
"""


class World:
    """A hub, and two providers at other hosts than the hub's."""

    def __init__(self, folder):
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        (folder / "second").mkdir()
        self.sso = OidcProvider(folder, client_of(url))
        self.second = OidcProvider(
            folder / "second", client_of(url, callback="/hub/oauth_callback/second", name="second")
        )
        facts = {"issuer": self.sso.issuer, "second": self.second.issuer, "secret": SECRET, "token": ADMIN}
        self.hub = LocalHub(folder, SETTINGS.format(**facts), port=port, admin_token=ADMIN)
        self.url = self.hub.url

    def close(self):
        for one in (self.hub, self.sso, self.second):
            one.close()


@pytest.fixture(scope="module")
def world():
    made = World(Path(tempfile.mkdtemp(prefix="hubless-openid-")))
    yield made
    made.close()


@pytest.fixture
def page(new_page):
    return alone(new_page())


def alone(page):
    """Keep the page away from all hosts but this machine: the provider's pages ask for a web font."""
    page.context.route(
        lambda url: urlsplit(url).hostname not in {"localhost", "127.0.0.1"}, lambda route: route.abort()
    )
    return page


def begin(world, page, label="Our SSO", following="/hub/token"):
    page.goto(f"{world.url}/hub/login?next={following}")
    page.get_by_role("link", name=f"Log in with {label}").click()


def authenticate(page, account):
    """Type the account into the provider's page."""
    page.locator("input[name=login]").fill(account)
    page.locator("input[name=password]").fill("any")
    page.locator("button[type=submit]").click()


def log_in(world, page, account, **more):
    begin(world, page, **more)
    authenticate(page, account)


def at_home(world, page, name, path="/hub/token"):
    expect(page).to_have_url(re.compile(re.escape(world.url + path)))
    expect(page.locator("header .name")).to_have_text(re.compile(rf"{name}$"))


@pytest.mark.real
def test_a_person_logs_in_at_the_provider_and_comes_home(world, page):
    log_in(world, page, "ada")
    at_home(world, page, "ada")


@pytest.mark.real
def test_ten_tabs_that_are_restored_at_once_all_come_home(world, page):
    tabs = [page, *(page.context.new_page() for _ in range(9))]
    for number, tab in enumerate(tabs):
        begin(world, tab, following=f"/hub/token?tab={number}")
    authenticate(tabs[0], "bob")
    at_home(world, tabs[0], "bob", "/hub/token?tab=0")
    for number, tab in enumerate(tabs[1:], start=1):
        tab.reload()  # the provider's page finds that somebody logged in meanwhile, or asks once more
        if tab.locator("input[name=login]").count():
            authenticate(tab, "bob")
        at_home(world, tab, "bob", f"/hub/token?tab={number}")


@pytest.mark.real
@pytest.mark.parametrize(
    ("account", "said"),
    [
        ("wrong-nonce", "nonce"),
        ("wrong-audience", "audience"),
        ("wrong-issuer", "issuer"),
        ("expired", "expired"),
        ("unpublished", "signature"),
        ("shared-secret", "HS256"),
        ("mixed-up", "not from Our SSO"),
    ],
)
def test_a_token_that_proves_nothing_logs_nobody_in(world, page, account, said):
    log_in(world, page, account)
    expect(page.get_by_role("alert")).to_contain_text(said)
    expect(page.locator("main").get_by_text("Ask the help desk, room 101.")).to_be_visible()
    assert httpx.get(f"{world.url}/hub/api/users/{account}", headers=token()).status_code == 404


def token():
    return {"Authorization": f"token {ADMIN}"}


@pytest.mark.real
def test_rotated_keys_are_found_with_and_without_a_new_kid(world, new_page):
    log_in(world, page := alone(new_page()), "before")
    at_home(world, page, "before")
    world.sso.rotate("another")
    log_in(world, page := alone(new_page()), "between")
    at_home(world, page, "between")
    world.sso.rotate("another")
    log_in(world, page := alone(new_page()), "after")
    at_home(world, page, "after")


@pytest.mark.real
def test_who_is_not_let_in_reads_whom_to_ask(world, page):
    log_in(world, page, "mallory")
    expect(page.get_by_role("heading", name="You cannot log in here")).to_be_visible()
    expect(page.locator("main").get_by_text("Ask the help desk, room 101.")).to_be_visible()


@pytest.mark.real
def test_a_second_provider_opens_the_account_that_linked_it(world, new_page):
    log_in(world, page := alone(new_page()), "carol")
    at_home(world, page, "carol")
    page.goto(f"{world.url}/hub/account")
    page.get_by_role("button", name=re.compile("Partners")).click()
    authenticate(page, "carol-of-partners")
    expect(page).to_have_url(f"{world.url}/hub/account")
    expect(page.locator("main")).to_contain_text("carol-of-partners")

    other = alone(new_page())
    log_in(world, other, "carol-of-partners", label="Partners")
    at_home(world, other, "carol")


@pytest.mark.real
def test_a_logout_ends_both_sessions(world, page):
    log_in(world, page, "dora")
    at_home(world, page, "dora")
    page.locator(".frame-menu > summary").click()
    page.get_by_role("link", name="Log out").click()
    page.locator("button[name=logout]").click()  # the provider asks whether to end its session too
    expect(page.get_by_role("heading", name="You are logged out")).to_be_visible()

    begin(world, page)
    expect(page.locator("input[name=login]")).to_be_visible()  # nobody is logged in there any more


@pytest.mark.real
def test_a_logout_at_the_provider_ends_the_session_here(world, page):
    log_in(world, page, "emil")
    at_home(world, page, "emil")
    page.goto(f"{world.sso.issuer}/session/end")
    page.locator("button[name=logout]").click()
    page.wait_for_url(f"{world.sso.issuer}/**")
    page.goto(f"{world.url}/hub/token")
    expect(page.get_by_role("link", name="Log in with Our SSO")).to_be_visible()


@pytest.mark.real
def test_the_login_page_works_on_a_telephone_without_scripts(world, new_page):
    page = alone(new_page(java_script_enabled=False))
    page.set_viewport_size({"width": 360, "height": 640})
    page.goto(f"{world.url}/hub/login?next=/hub/token")
    wide = page.locator("body").evaluate("body => body.scrollWidth")
    assert wide <= 360
    page.get_by_role("link", name="Log in with Our SSO").click()
    authenticate(page, "fritz")
    at_home(world, page, "fritz")

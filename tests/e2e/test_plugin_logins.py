"""Authenticator classes in a whole hub: their forms on a phone without JavaScript, and a provider's redirect."""

import pytest
from playwright.sync_api import expect

from tests.doubles.oauth_server import oauth_server
from tests.support.local_hub import LocalHub

pytestmark = pytest.mark.real

NATIVE = """
[hub]
workers = 2

[login]
admins = ["boss"]

[servers]
fork_servers = false  # nobody starts one

[plugin]
authenticator_class = "native"

[plugin.config.NativeAuthenticator]
allow_all = true
minimum_password_length = 8
"""
OAUTH = """
[servers]
fork_servers = false  # nobody starts one

[plugin]
authenticator_class = "generic-oauth"
config_env = {{ "GenericOAuthenticator.client_secret" = "OAUTH_SECRET" }}

[plugin.config.GenericOAuthenticator]
allow_all = true
client_id = "hub"
authorize_url = "{address}/authorize"
token_url = "{address}/token"
userdata_url = "{address}/userinfo"
username_claim = "login"
login_service = "the School"
"""


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth") <= 360


def log_in(page, name, password):
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign In").click()


@pytest.fixture
def phones(chromium):
    """Yield pages of two phones. They may note that our policy blocks inline styles of the class."""
    options = {"viewport": {"width": 360, "height": 700}, "java_script_enabled": False}
    contexts = [chromium.new_context(**options) for _ in range(2)]
    yield [context.new_page() for context in contexts]
    for context in contexts:
        context.close()


def test_native_on_a_phone_without_javascript(tmp_path, phones):
    hub = LocalHub(tmp_path, NATIVE)
    try:
        boss, alice = phones
        for page, name in ((boss, "boss"), (alice, "alice")):
            page.goto(f"{hub.url}/hub/login")
            assert fits(page)
            expect(page.get_by_text("insecure", exact=False)).to_be_hidden()
            page.get_by_role("link", name="Sign up").click()
            page.get_by_label("Username").fill(name)
            page.get_by_label("Password:", exact=True).fill("a good password")
            page.locator("[name=signup_password_confirmation]").fill("a good password")  # its label names another id
            assert fits(page)
            page.get_by_role("button", name="Create User").click()
            page.get_by_role("link", name="Login", exact=True).click()
        log_in(alice, "alice", "a good password")
        expect(alice.get_by_text("User alice has not been authorized by an administrator yet.")).to_be_visible()

        log_in(boss, "boss", "a good password")
        expect(boss.locator(".frame-menu > summary")).to_contain_text("boss")
        boss.goto(f"{hub.url}/hub/authorize")
        assert fits(boss)
        boss.get_by_role("row", name="alice").get_by_role("button", name="Authorize", exact=True).click()
        expect(boss.get_by_role("row", name="alice").get_by_role("button", name="Unauthorize")).to_be_visible()
        log_in(alice, "alice", "a good password")
        expect(alice.locator(".frame-menu > summary")).to_contain_text("alice")
    finally:
        hub.close()


def test_oauthenticator_in_a_browser(tmp_path, new_page, monkeypatch):
    monkeypatch.setenv("OAUTH_SECRET", "a+secret/with:signs")
    with oauth_server() as (_, address):
        hub = LocalHub(tmp_path, OAUTH.format(address=address))
        try:
            page, here = new_page(), hub.url.replace("127.0.0.1", "localhost")
            page.goto(f"{here}/hub/token")
            page.get_by_role("link", name="Log in with the School").click()

            expect(page).to_have_url(f"{here}/hub/token")
            expect(page.locator(".frame-menu > summary")).to_contain_text("ada")
            page.locator(".frame-menu > summary").click()
            page.get_by_role("link", name="Log out").click()
            expect(page.get_by_role("link", name="Log in with the School")).to_be_visible()
        finally:
            hub.close()

"""Passkeys and apps in Chromium, whose virtual authenticator is driven by the DevTools protocol, on `localhost`."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect
from pyotp import TOTP

from tests.support.local_hub import HUBLESS, LocalHub

PASSWORD = "correct horse battery staple"
SETTINGS = "[login]\nmax_failures = 1000\n[servers]\nfork_servers = false\n"  # nobody starts a server
NARROW, WIDE = {"width": 360, "height": 740}, {"width": 1200, "height": 800}
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


class Hub(LocalHub):
    """A hub at `localhost`, where browsers take passkeys without https."""

    def __init__(self, folder):
        super().__init__(folder, SETTINGS)
        self.url = f"http://localhost:{self.port}"

    def add(self, name):
        where = ["--data", self.folder / "data", "--settings", self.folder / "hubless.toml"]
        command = [HUBLESS, "user", "add", name, "--password-stdin", *where]
        subprocess.run(command, input=f"{PASSWORD}\n", text=True, check=True, capture_output=True)


# The virtual authenticator answers at once what a browser only offers in a field, so most tests go without such offers.
NO_OFFERS = "if (window.PublicKeyCredential) PublicKeyCredential.isConditionalMediationAvailable = async () => false"


class Device:
    """The virtual authenticator of one page."""

    def __init__(self, page, *, offers=False, **facts):
        if not offers:
            page.add_init_script(NO_OFFERS)
        self.session = page.context.new_cdp_session(page)
        self.session.send("WebAuthn.enable", {"enableUI": False})
        made = self.session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR | facts})
        self.named = {"authenticatorId": made["authenticatorId"]}

    def credentials(self):
        return self.session.send("WebAuthn.getCredentials", self.named)["credentials"]

    def take(self, credential):
        self.session.send("WebAuthn.addCredential", self.named | {"credential": credential})

    def verify_user(self, *, verified):
        self.session.send("WebAuthn.setUserVerified", self.named | {"isUserVerified": verified})


@pytest.fixture(scope="module")
def hub():
    folder = Path(tempfile.mkdtemp(prefix="hubless-e2e-"))
    one = Hub(folder)
    yield one
    one.close()
    shutil.rmtree(folder, ignore_errors=True)


def shot(page, name):
    """Keep pictures, narrow and wide, light and dark, where ARTIFACTS names a folder."""
    if folder := os.environ.get("ARTIFACTS"):
        for size, viewport in (("narrow", NARROW), ("wide", WIDE)):
            for scheme in ("light", "dark"):
                page.set_viewport_size(viewport)
                page.emulate_media(color_scheme=scheme)
                page.screenshot(path=Path(folder) / f"{name}-{size}-{scheme}.png", full_page=True)


def fits(page):
    """Say whether nothing of the page is beyond its right edge on a telephone."""
    page.set_viewport_size(NARROW)
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def log_in(page, hub, name, *, following="/hub/token"):
    page.goto(f"{hub.url}/hub/login?next={following}")
    page.fill("[name=username]", name)
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()


def log_out(page, hub):
    page.goto(f"{hub.url}/hub/logout")
    expect(page).to_have_url(re.compile("/hub/login"))


def add_passkey(page, hub, name):
    log_in(page, hub, name, following="/hub/account/second-factors")
    page.get_by_label("Name of the passkey").fill("My phone")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()


def is_logged_in_as(page, name):
    expect(page.locator(".frame-menu > summary")).to_contain_text(name)


def test_a_passkey_is_added_and_logs_in_without_a_password(hub, new_page):
    hub.add("alice")
    page = new_page()
    device = Device(page)

    add_passkey(page, hub, "alice")
    shot(page, "recovery-codes")
    assert fits(page)
    (credential,) = device.credentials()
    assert credential["isResidentCredential"]
    assert credential["rpId"] == "localhost"
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_role("heading", name="My phone")).to_be_visible()
    shot(page, "second-factors")
    assert fits(page)

    log_out(page, hub)
    page.goto(f"{hub.url}/hub/login?next=/hub/token")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page).to_have_url(re.compile("/hub/token$"))
    is_logged_in_as(page, "alice")


def test_the_field_of_the_username_offers_passkeys(hub, new_page):
    hub.add("frank")
    page = new_page()
    device = Device(page)
    add_passkey(page, hub, "frank")
    (credential,) = device.credentials()
    other = new_page()
    Device(other, offers=True).take(credential)

    other.goto(f"{hub.url}/hub/login?next=/hub/token")

    expect(other).to_have_url(re.compile("/hub/token$"))
    is_logged_in_as(other, "frank")


def test_a_passkey_is_the_second_factor_after_a_password(hub, new_page):
    hub.add("bob")
    page = new_page()
    device = Device(page)
    add_passkey(page, hub, "bob")
    log_out(page, hub)
    device.verify_user(verified=False)

    log_in(page, hub, "bob")
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    shot(page, "second-factor")
    assert fits(page)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.locator("[data-passkey-error]")).to_be_visible()
    device.verify_user(verified=True)
    page.get_by_role("button", name="Use a passkey").click()

    expect(page).to_have_url(re.compile("/hub/token$"))
    is_logged_in_as(page, "bob")


def test_a_device_holds_one_passkey_of_an_account(hub, new_page):
    hub.add("carol")
    page = new_page()
    Device(page)
    add_passkey(page, hub, "carol")
    page.get_by_role("link", name="I have kept them").click()

    page.get_by_label("Name of the passkey").fill("Again")
    page.get_by_role("button", name="Add a passkey").click()

    expect(page.get_by_text("already holds a passkey")).to_be_visible()


def test_a_code_works_without_javascript(hub, new_page):
    hub.add("dave")
    page = new_page(java_script_enabled=False)
    log_in(page, hub, "dave", following="/hub/account/second-factors")
    expect(page.get_by_role("button", name="Add a passkey")).to_be_hidden()
    shot(page, "second-factors-empty")
    app = TOTP(page.locator(".key code").inner_text().replace(" ", ""))

    page.get_by_label("Code of the app").fill(app.now())
    page.get_by_role("button", name="Add the app").click()
    expect(page.locator(".recovery-codes li")).to_have_count(10)
    log_out(page, hub)
    expect(page.get_by_role("button", name="Use a passkey")).to_be_hidden()
    log_in(page, hub, "dave")
    # The next step's code is accepted already: the one that confirmed the app was used.
    page.get_by_label("Code", exact=True).fill(app.at(time.time() + 30))
    page.get_by_role("button", name="Go on").click()

    is_logged_in_as(page, "dave")


def test_at_an_ip_address_the_page_says_why_there_are_no_passkeys(hub, new_page):
    hub.add("erin")
    page = new_page()
    at_address = f"http://127.0.0.1:{hub.port}"
    page.goto(f"{at_address}/hub/login?next=/hub/account/second-factors")
    expect(page.get_by_role("button", name="Use a passkey")).to_have_count(0)
    page.fill("[name=username]", "erin")
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()

    expect(page.get_by_text("this hub is at an IP address")).to_be_visible()

"""Passwords that the real authenticators of JupyterHub have hashed open this hub."""

import asyncio
from types import SimpleNamespace

import onetimepass
import pytest
from firstuseauthenticator import FirstUseAuthenticator
from jupyterhub import orm
from nativeauthenticator import NativeAuthenticator
from nativeauthenticator.orm import UserInfo
from traitlets.config import Config

from hubless.domain.second_factors import AuthenticatorApp
from hubless.domain.users import FactorState
from hubless.services.second_factors import sealed_app_secret
from tests.api.hub import build_hub

SETTINGS = """
[login]
kind = "password"
max_failures = 1000
"""
# Of at most 72 bytes: bcrypt 5, which is installed here, hashes no longer ones.
PASSWORDS = [
    "a-long-password-1",
    "bob's long pass é",
    "e\u0301",
    " blanks ",
    "x" * 72,
    "a",
]  # bcrypt 5 hashes no longer ones


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    made = build_hub(tmp_path_factory.mktemp("hub"), SETTINGS)
    yield made
    made.close()


@pytest.fixture
def native():
    session = orm.new_session_factory("sqlite://")()
    yield NativeAuthenticator(db=session, config=Config(Authenticator={"allow_all": True}))
    session.close()
    session.get_bind().dispose()


def log_in(hub, name, password):
    browser = hub.browser()
    browser.get("/hub/login")
    return browser.submit("/hub/login", username=name, password=password)


def opens(hub, name, password):
    return log_in(hub, name, password).headers.get("location") == "/hub/spawn"


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_of_nativeauthenticator_opens_and_is_hashed_again(hub, native, password):
    user = hub.user(f"native{PASSWORDS.index(password)}")
    stored = native.create_user(user.name, password).password.decode()
    hub.hub.passwords.set(user.id, stored)

    assert not opens(hub, user.name, password[:-1] + "?")
    assert hub.hub.passwords.get(user.id) == stored
    assert opens(hub, user.name, password)
    assert hub.hub.passwords.get(user.id).startswith("$argon2id$")
    assert opens(hub, user.name, password)


@pytest.mark.parametrize("password", [one for one in PASSWORDS if len(one) > 6])
def test_a_password_of_firstuseauthenticator_opens(hub, tmp_path, password):
    user = hub.user(f"first{PASSWORDS.index(password)}")
    path = tmp_path / "passwords.dbm"
    first_use = FirstUseAuthenticator(dbm_path=str(path), create_users=True)
    assert asyncio.run(first_use.authenticate(SimpleNamespace(), {"username": user.name, "password": password}))
    stored = stored_passwords(path)[user.name.encode()].decode()
    hub.hub.passwords.set(user.id, stored)

    assert opens(hub, user.name, password)


def stored_passwords(path):
    import dbm

    with dbm.open(str(path), "r") as opened:
        return {name: opened[name] for name in list(opened.keys())}


def test_an_app_of_nativeauthenticator_goes_on_and_gets_codes(hub, native):
    user, factors = hub.user("nora"), hub.hub.second_factors
    row = native.create_user("nora", "a-long-password-1", has_2fa=True)
    assert isinstance(row, UserInfo)
    hub.hub.passwords.set(user.id, row.password.decode())
    sealed = sealed_app_secret(factors.sealer, user.id, row.otp_secret)
    app = AuthenticatorApp(sealed, hub.hub.clock.now(), last_step=0, is_imported=True)
    factors.change(user.id, lambda before: before.with_app(app, ()))
    assert hub.hub.users.find("nora").factors is FactorState.SET_UP

    browser = hub.browser()
    browser.get("/hub/login")
    asked = browser.submit("/hub/login", username="nora", password="a-long-password-1")
    assert asked.headers["location"].startswith("/hub/second-factor")
    page = browser.get(asked.headers["location"])
    code = onetimepass.get_totp(row.otp_secret, as_string=True, clock=int(hub.hub.clock.now().timestamp())).decode()
    answer = browser.submit(asked.headers["location"], code=code)
    assert answer.headers["location"] == "/hub/spawn", page.text
    assert "0 codes are left" in browser.get("/hub/account/second-factors").text

"""Authenticator classes with what they ask: a real LDAP server, the machine's PAM, an OAuth provider."""

import ctypes
import gc
import os
import pwd
import warnings

import httpx
import pamela
import pytest

from tests.api.hub import OPENED, build_hub
from tests.api.test_plugin_logins import log_in, who, words
from tests.doubles.oauth_server import oauth_server
from tests.support.ldap_server import ldap_server

pytestmark = [
    # ldap3 2.9.1 uses old names of pyasn1 0.6, and LDAPAuthenticator leaves connections to the garbage collector.
    pytest.mark.filterwarnings("ignore:(tagMap|typeMap) is deprecated. Please use:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def close_hubs():
    yield
    while OPENED:
        OPENED.pop().close()
    with warnings.catch_warnings():  # LDAPAuthenticator leaves connections to the garbage collector
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


# --- LDAP ---

BIND = """
[plugin]
authenticator_class = "ldap"

[plugin.config.LDAPAuthenticator]
server_address = "127.0.0.1"
server_port = {port}
tls_strategy = "insecure"
bind_dn_template = "uid={{username}},ou=people,dc=school,dc=test"
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    with ldap_server(tmp_path_factory.mktemp("ldap")) as port:
        yield port


def test_ldap_binds_as_the_person(tmp_path, directory):
    hub = build_hub(tmp_path, BIND.format(port=directory) + "allow_all = true\n")

    browser = hub.browser()
    assert log_in(browser, "alice", "wonderland").status_code == 302
    assert who(browser) == "alice"
    for name, password in (("alice", "can we fix it"), ("alice", ""), ("nobody", "x"), ("alice)(uid=*", "x")):
        answer = log_in(hub.browser(), name, password)
        assert answer.status_code == 403, name
        assert "Invalid username or password" in words(answer)


def test_ldap_lets_in_a_group_alone(tmp_path, directory):
    groups = 'allowed_groups = ["cn=teachers,dc=school,dc=test"]\ngroup_search_filter = "(member={userdn})"\n'
    hub = build_hub(tmp_path, BIND.format(port=directory) + groups)

    assert log_in(hub.browser(), "alice", "wonderland").status_code == 302
    assert log_in(hub.browser(), "bob", "can we fix it").status_code == 403


def test_ldap_that_is_away_is_an_error_and_no_login(tmp_path):
    hub = build_hub(tmp_path, BIND.format(port=1) + "allow_all = true\n")

    answer = log_in(hub.browser(), "alice", "wonderland")

    assert answer.status_code == 500
    assert "LDAPAuthenticator failed. The hub's log says why: ask its operator." in words(answer)


# --- PAM ---

SERVICE = "auth required pam_exec.so quiet expose_authtok {script}\naccount required {account}\n"
SCRIPT = '#!/bin/sh\npassword=$(tr -d "\\000")\n[ "$PAM_USER $password" = "{user} open sesame" ]\n'
PAM = """
[plugin]
authenticator_class = "pam"

[plugin.config.PAMAuthenticator]
service = "hubless-test"
"""


@pytest.fixture
def pam(tmp_path, monkeypatch):
    """Have PAM read the services of a folder of ours: `/etc/pam.d` is root's (pam_start_confdir, Linux-PAM 1.4)."""
    folder, libpam = tmp_path / "pam.d", pamela.LIBPAM
    folder.mkdir()
    libpam.pam_start_confdir.argtypes = [*pamela.PAM_START.argtypes[:3], ctypes.c_char_p, pamela.PAM_START.argtypes[3]]

    def start(service, user, conversation, handle):
        return libpam.pam_start_confdir(service, user, conversation, os.fsencode(folder), handle)

    monkeypatch.setattr(pamela, "PAM_START", start)
    script = tmp_path / "check"
    script.write_text(SCRIPT.format(user=SELF))
    script.chmod(0o755)

    def write(account="pam_permit.so"):
        (folder / "hubless-test").write_text(SERVICE.format(script=script, account=account))

    write()
    return write


SELF = pwd.getpwuid(os.geteuid()).pw_name


def test_pam_checks_the_password_of_a_system_user(tmp_path, pam):
    hub = build_hub(tmp_path, f"{PAM}allow_all = true\n")

    browser = hub.browser()
    assert log_in(browser, SELF, "open sesame").status_code == 302
    assert who(browser) == SELF
    assert log_in(hub.browser(), SELF, "open barley").status_code == 403
    assert log_in(hub.browser(), "nobody-here", "open sesame").status_code == 403


def test_pam_refuses_an_account_that_may_not_log_in(tmp_path, pam):
    pam(account="pam_deny.so")
    hub = build_hub(tmp_path, f"{PAM}allow_all = true\n")

    assert log_in(hub.browser(), SELF, "open sesame").status_code == 403


def test_pam_makes_admins_of_a_group(tmp_path, pam):
    group = f"grp.getgrgid({os.getegid()}).gr_name"
    (tmp_path / "jupyterhub_config.py").write_text(f"import grp\nc.PAMAuthenticator.admin_groups = {{{group}}}\n")
    with_file = PAM.replace("[plugin]", '[plugin]\nconfig_file = "jupyterhub_config.py"')
    hub = build_hub(tmp_path, f"{with_file}allow_all = true\n")

    log_in(hub.browser(), SELF, "open sesame")

    assert hub.hub.users.find(SELF).admin


def test_pam_adds_nobody_whom_the_machine_does_not_have(tmp_path, pam):
    (tmp_path / "check").write_text("#!/bin/sh\ncat >/dev/null\n")
    hub = build_hub(tmp_path, f"{PAM}allow_all = true\n")

    answer = log_in(hub.browser(), "nobody-here", "open sesame")

    assert answer.status_code == 403
    assert "PAMAuthenticator does not take the user nobody-here: 'User nobody-here does not exist" in words(answer)
    assert hub.hub.users.find("nobody-here") is None


# --- OAuth ---

OAUTH = """
{more}
[plugin]
authenticator_class = "generic-oauth"
{plugin}

[plugin.config.GenericOAuthenticator]
client_id = "hub"
client_secret = "a+secret/with:signs"
authorize_url = "{address}/authorize"
token_url = "{address}/token"
userdata_url = "{address}/userinfo"
username_claim = "login"
login_service = "the School"
{config}
"""


@pytest.fixture
def provider():
    with oauth_server() as found:
        yield found


def oauth_hub(folder, address, config="allow_all = true", more="", plugin=""):
    return build_hub(folder, OAUTH.format(address=address, config=config, more=more, plugin=plugin))


def come_home(browser, path="/hub/oauth_login"):
    """Follow the browser's way to the provider and back, and return the hub's last answer."""
    there = browser.get(path).headers["location"]
    back = httpx.get(there).headers["location"]
    assert back.startswith("http://hub.test/hub/oauth_callback?")
    return browser.get(back)


def test_oauthenticator_leads_to_the_provider_and_back(tmp_path, provider):
    double, address = provider
    hub = oauth_hub(tmp_path, address)
    browser = hub.browser()
    page = browser.get("/hub/login?next=%2Fhub%2Ftoken")
    assert "Log in with the School" in words(page)
    assert 'href="/hub/oauth_login?next=%2Fhub%2Ftoken"' in page.text

    answer = come_home(browser, "/hub/oauth_login?next=%2Fhub%2Ftoken")

    assert (answer.status_code, answer.headers["location"]) == (302, "/hub/token")
    assert who(browser) == "ada"
    assert double.codes == {}


def test_oauthenticators_cookie_does_not_reach_servers(tmp_path, provider):
    browser = oauth_hub(tmp_path, provider[1]).browser()

    answer = browser.get("/hub/oauth_login")

    (cookie,) = [one for one in answer.headers.get_list("set-cookie") if one.startswith("oauthenticator-state=")]
    assert "; Path=/hub/" in cookie
    assert "HttpOnly" in cookie
    come_home(browser)
    assert "oauthenticator-state" not in browser.cookies


def test_a_callback_of_another_browser_logs_nobody_in(tmp_path, provider):
    hub = oauth_hub(tmp_path, provider[1])
    there = hub.browser().get("/hub/oauth_login").headers["location"]
    back = httpx.get(there).headers["location"]

    other = hub.browser()
    assert other.get(back).status_code == 400
    other.get("/hub/oauth_login")
    answer = other.get(back)

    assert answer.status_code == 400
    assert "OAuth state mismatch" in words(answer)
    assert who(other) is None


def test_what_the_provider_refuses_is_said(tmp_path, provider):
    double, address = provider
    double.refuses = True

    answer = come_home(oauth_hub(tmp_path, address).browser())

    assert answer.status_code == 400
    assert "OAuth error: access_denied" in words(answer)


def test_a_person_whom_the_class_does_not_let_in_is_told(tmp_path, provider):
    answer = come_home(oauth_hub(tmp_path, provider[1], 'allowed_users = ["grace"]').browser())

    assert answer.status_code == 403


def test_a_provider_that_is_away_is_an_error_and_no_login(tmp_path, provider):
    double, address = provider
    hub = oauth_hub(tmp_path, address)
    browser = hub.browser()
    there = browser.get("/hub/oauth_login").headers["location"]
    back = httpx.get(there).headers["location"]
    double.secret = "changed"

    answer = browser.get(back)

    assert answer.status_code == 500
    assert "GenericOAuthenticator failed" in words(answer)
    assert "a+secret" not in answer.text


def test_auto_login_needs_no_click(tmp_path, provider):
    browser = oauth_hub(tmp_path, provider[1], "allow_all = true\nauto_login = true").browser()

    answer = browser.get("/hub/login?next=%2Fhub%2Ftoken")

    assert answer.headers["location"] == "/hub/oauth_login?next=%2Fhub%2Ftoken"
    come_home(browser, answer.headers["location"])
    answer = browser.get("/hub/logout")
    assert "You are logged out here" in words(answer)
    assert who(browser) is None


def test_a_logout_leads_where_the_class_says(tmp_path, provider):
    config = 'allow_all = true\nlogout_redirect_url = "https://school.test/bye"'
    browser = oauth_hub(tmp_path, provider[1], config).browser()
    come_home(browser)

    answer = browser.get("/hub/logout")

    assert answer.headers["location"] == "https://school.test/bye"
    assert who(browser) is None


def test_behind_a_proxy_the_callback_is_at_the_public_address(tmp_path, provider):
    hub = oauth_hub(tmp_path, provider[1], more='[hub]\npublic_url = "https://hub.school.test"')

    there = hub.browser().get("/hub/oauth_login").headers["location"]

    assert "redirect_uri=https%3A%2F%2Fhub.school.test%2Fhub%2Foauth_callback" in there


def test_a_secret_comes_from_the_environment(tmp_path):
    from hubless.settings import parse

    text = (
        '[plugin]\nauthenticator_class = "generic-oauth"\n'
        'config_env = { "GenericOAuthenticator.client_secret" = "OAUTH_SECRET" }\n'
    )
    read = parse(text, tmp_path, {}, secrets={"OAUTH_SECRET": "a secret"})

    assert read.plugin.config == {"GenericOAuthenticator": {"client_secret": "a secret"}}
    assert "a secret" not in repr(read)

"""The account page, and identities in the API: who may link which, and what stays a way in."""

import pytest

from hubless.domain.external_identities import ExternalId
from hubless.ports.authenticator import Identity
from tests.api.hub import SETTINGS, An, build_hub
from tests.api.test_logins import OWN, log_in

ISSUER = "https://sso.example.org"
PROVIDER = """
[[providers]]
name = "campus"
kind = "oidc"
display_name = "Campus <login>"
issuer = "https://sso.example.org"
client_id = "hub"
client_secret = "a secret of the test"
"""
PASSWORD = "a long password of hers"


@pytest.fixture
def own(tmp_path):
    """A hub with a password per user, one provider, and ada, who has logged in there."""
    hub = build_hub(tmp_path, OWN.replace("[login]", "[login]\nallow_all = true", 1) + PROVIDER)
    hub.hub.logins.log_in(Identity("ada", external=ExternalId(ISSUER, "1"), provider="campus", label="ada@example.org"))
    return hub


def with_password(hub, name="ada"):
    hub.hub.accounts.set_password(name, PASSWORD)
    browser = hub.browser()
    assert log_in(browser, name, PASSWORD).status_code == 302
    return browser


def subjects(hub, name="ada"):
    return [one.id.subject for one in hub.hub.external_logins.of_user(hub.hub.users.find(name))]


def unlink(browser, subject="1"):
    return browser.submit("/hub/account/unlink", issuer=ISSUER, subject=subject)


def test_the_account_page_needs_a_login(own):
    assert own.browser().get("/hub/account").status_code == 302


def test_the_account_page_lists_logins_and_offers_more(own):
    page = with_password(own).get("/hub/account")
    assert page.status_code == 200
    assert "ada@example.org" in page.text
    assert "Campus &lt;login&gt;" in page.text
    assert 'action="/hub/account/link/campus"' in page.text
    assert "/hub/change-password" in page.text


def test_an_owner_unlinks_a_login_beside_a_password(own):
    browser = with_password(own)
    browser.get("/hub/account")
    answer = unlink(browser)
    assert (answer.status_code, answer.headers["location"]) == (302, "/hub/account")
    assert subjects(own) == []
    assert unlink(browser).status_code == 404


def test_an_owner_cannot_unlink_the_only_way_in(own):
    session, cookie = own.hub.logins.open_session(own.hub.users.find("ada"), "a browser")
    assert session
    browser = own.browser()
    browser.cookies.set("jupyterhub-hub-login", cookie, path="/hub/")
    browser.get("/hub/account")
    answer = unlink(browser)
    assert answer.status_code == 400
    assert "only way in" in answer.text
    assert subjects(own) == ["1"]


def test_a_foreign_page_unlinks_nothing(own):
    browser = with_password(own)
    browser.get("/hub/account")
    assert browser.post("/hub/account/unlink", data={"issuer": ISSUER, "subject": "1"}).status_code == 403
    assert subjects(own) == ["1"]


def test_nobody_unlinks_the_login_of_another(own):
    own.hub.accounts.add("bob")
    browser = with_password(own, "bob")
    browser.get("/hub/account")
    assert unlink(browser).status_code == 404
    assert subjects(own) == ["1"]


HELPERS = """
[[roles]]
name = "helpers"
scopes = ["admin:users"]
users = ["helper"]

[[roles]]
name = "tutors"
scopes = ["admin:users!user=ada"]
users = ["tutor"]
"""


@pytest.fixture
def hub(tmp_path):
    made = build_hub(tmp_path, SETTINGS + HELPERS)
    made.user("bob")
    return made


BODY = {"issuer": ISSUER, "subject": "7", "provider": "campus", "label": "bob@example.org"}


def test_an_admin_links_lists_and_unlinks_an_identity(hub):
    admin = hub.as_token(An.ADMIN_TOKEN)
    made = admin.post("/users/bob/identities", BODY)
    assert made.status_code == 201
    assert made.json() | BODY | {"by_admin": True} == made.json()
    assert admin.get("/users/bob/identities").json() == {"identities": [made.json()]}
    assert hub.hub.logins.log_in(Identity("x", external=ExternalId(ISSUER, "7"))).name == "bob"
    gone = admin.delete("/users/bob/identities", params={"issuer": ISSUER, "subject": "7"})
    assert gone.status_code == 204
    assert admin.get("/users/bob/identities").json() == {"identities": []}
    again = admin.delete("/users/bob/identities", params={"issuer": ISSUER, "subject": "7"})
    assert (again.status_code, again.json()["message"]) == (404, "This identity is not linked to bob")


def test_an_identity_of_another_user_is_refused(hub):
    admin = hub.as_token(An.ADMIN_TOKEN)
    hub.user("ada")
    assert admin.post("/users/ada/identities", BODY).status_code == 201
    refused = admin.post("/users/bob/identities", BODY)
    assert refused.status_code == 409
    assert "belongs to another user" in refused.json()["message"]


@pytest.mark.parametrize(
    "body", [{}, {"issuer": ISSUER}, BODY | {"subject": ""}, BODY | {"subject": "x" * 256}, BODY | {"subject": "a\nb"}]
)
def test_an_impossible_identity_is_refused(hub, body):
    assert hub.as_token(An.ADMIN_TOKEN).post("/users/bob/identities", body).status_code == 400


def test_identities_need_the_scope_and_reveal_no_names(hub):
    tutor = hub.as_user("tutor")
    hub.user("ada")
    for name in ("bob", "nobody"):
        assert tutor.get(f"/users/{name}/identities").status_code == 404
    assert hub.as_user("reader", ["read:users"]).get("/users/bob/identities").status_code == 403


def test_who_is_no_admin_links_nothing_to_a_user_who_may_do_more(hub):
    hub.user("sam", groups=["sharers"])
    helper = hub.as_user("helper")
    hub.hub.accounts.add("chief", admin=True)
    for name in ("chief", "sam"):
        refused = helper.post(f"/users/{name}/identities", BODY)
        assert refused.status_code == 403
        assert "only an admin may do this" in refused.json()["message"]
        assert subjects(hub, name) == []

"""The account page, and identities in the API: who may link which, and what stays a way in."""

import re

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
    assert 'action="/hub/account/unlink"' in browser.get("/hub/account").text
    answer = unlink(browser)
    assert (answer.status_code, answer.headers["location"]) == (303, "/hub/account")
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


# --- the admin's page of a user's logins ---

LOGINS = "/hub/admin/users/bob/logins"


@pytest.fixture
def with_provider(tmp_path):
    made = build_hub(tmp_path, SETTINGS + HELPERS + PROVIDER)
    made.user("bob")
    return made


def test_an_admin_links_a_login_on_a_page_before_the_first_login(with_provider):
    admin = with_provider.browser("root")
    assert f'href="{LOGINS}"' in admin.get("/hub/admin/users/bob").text
    assert "No login is linked yet" in admin.get(LOGINS).text

    answer = admin.submit(LOGINS, provider="campus", subject=" 7 ", label="bob@example.org")

    assert (answer.status_code, answer.headers["location"]) == (303, LOGINS)
    page = admin.get(LOGINS).text
    assert "bob@example.org" in page
    assert f'action="{LOGINS}/unlink"' in page
    vouched = Identity("x", external=ExternalId(ISSUER, "7"), provider="campus")
    assert with_provider.hub.logins.log_in(vouched).name == "bob"
    assert with_provider.hub.external_logins.of_user(with_provider.user("bob"))[0].by_admin
    gone = admin.submit(f"{LOGINS}/unlink", issuer=ISSUER, subject="7")
    assert (gone.status_code, gone.headers["location"]) == (303, LOGINS)
    assert subjects(with_provider, "bob") == []
    assert admin.submit(f"{LOGINS}/unlink", issuer=ISSUER, subject="7").status_code == 404


@pytest.mark.parametrize(
    ("fields", "status", "why"),
    [
        ({"provider": "nobody", "subject": "7"}, 400, "Choose one of the providers"),
        ({"provider": "campus", "subject": " "}, 400, "must have 1 to 255 characters"),
        ({"provider": "campus", "subject": "x" * 256}, 400, "must have 1 to 255 characters"),
        ({"provider": "campus", "subject": "1"}, 409, "belongs to another user"),
    ],
)
def test_a_login_that_cannot_be_linked_is_refused_on_the_page(with_provider, fields, status, why):
    ada = with_provider.user("ada")
    external = with_provider.hub.external_logins
    external.link(ada, external.linked_by(ada, ExternalId(ISSUER, "1"), provider="campus", label="", by_admin=True))
    admin = with_provider.browser("root")

    refused = admin.submit(LOGINS, **fields, label="<b>")

    assert refused.status_code == status
    assert why in refused.text
    assert 'value="&lt;b&gt;"' in refused.text
    assert subjects(with_provider, "bob") == []


def test_an_admin_ends_the_only_way_in_on_the_page(own):
    own.hub.accounts.add("chief", admin=True)
    admin, where = with_password(own, "chief"), "/hub/admin/users/ada/logins"
    admin.get(where)
    assert admin.submit(f"{where}/unlink", issuer=ISSUER, subject="1").status_code == 303
    assert subjects(own) == []


def test_the_page_of_logins_is_for_admins_of_the_user_alone(with_provider):
    with_provider.hub.accounts.add("chief", admin=True)
    with_provider.user("tutor")
    helper, tutor = with_provider.browser("helper"), with_provider.browser("tutor")
    assert helper.get("/hub/admin/users/chief/logins").status_code == 403
    assert helper.submit("/hub/admin/users/chief/logins", provider="campus", subject="7").status_code == 403
    for name in ("bob", "nobody"):
        assert tutor.get(f"/hub/admin/users/{name}/logins").status_code == 404
        assert tutor.submit(f"/hub/admin/users/{name}/logins", provider="campus", subject="7").status_code == 404
    assert tutor.post(LOGINS, data={"provider": "campus", "subject": "7"}).status_code == 403  # a foreign page
    assert subjects(with_provider, "chief") == subjects(with_provider, "bob") == []


def test_a_hub_without_providers_has_no_page_of_logins(hub):
    admin = hub.browser("root")
    assert "/logins" not in admin.get("/hub/admin/users/bob").text
    assert admin.get(LOGINS).status_code == 404


def test_all_other_browsers_are_logged_out_at_once(own):
    here, there, elsewhere = with_password(own), own.browser(), own.browser()
    for other in (there, elsewhere):
        assert log_in(other, "ada", PASSWORD).status_code == 302
    api = own.as_user("ada")
    here.get("/hub/account")

    answer = here.submit("/hub/account/end-other-sessions")

    assert (answer.status_code, answer.headers["location"]) == (303, "/hub/account")
    assert "2 other browsers are logged out." in here.get("/hub/account").text
    assert [browser.get("/hub/account").status_code for browser in (here, there, elsewhere)] == [200, 302, 302]
    assert api.get("/user").status_code == 200


def test_an_unlinked_login_is_told_once(own):
    browser = with_password(own)
    browser.get("/hub/account")
    unlink(browser)

    assert "This login is no longer linked." in browser.get("/hub/account").text
    assert "This login is no longer linked." not in browser.get("/hub/account").text


def test_the_account_page_says_which_browser_logged_in_and_from_where(hub):
    agent = {"User-Agent": "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"}
    phone = hub.browser()
    phone.headers.update(agent)
    phone.log_in("alice")
    page = phone.get("/hub/account").text
    assert ("Firefox on Android" in page, "from 127.0.0.1" in page) == (True, True)


def test_a_session_from_nowhere_known_is_listed_without_an_address(own):
    browser = with_password(own)
    own.hub.logins.open_session(own.hub.users.find("ada"), "curl", address="unknown")
    page = browser.get("/hub/account").text
    assert ("curl" in page, "from unknown" in page) == (True, False)


def test_look_and_language_are_chosen_on_the_account_page(hub):
    alice = hub.browser("alice")
    card = alice.get("/hub/account").text.partition('id="preferences"')[2]
    assert re.findall(r'name="(theme|language)" value="(\w+)"[^>]* aria-pressed="true"', card) == [
        ("theme", "system"),
        ("language", "en"),
    ]
    for fields in ({"theme": "dark"}, {"language": "de"}):
        answer = alice.submit("/hub/preferences", next="/hub/account", **fields)
        assert (answer.status_code, answer.headers["location"]) == (303, "/hub/account")
    page = alice.get("/hub/account").text
    assert ('data-theme="dark"' in page, "Aussehen und Sprache" in page) == (True, True)

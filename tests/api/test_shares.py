import re
from datetime import timedelta

import pytest

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def owner(hub):
    hub.user("olga", groups=["sharers"])
    api = hub.as_user("olga")
    assert api.put("/users/olga/servers/lab", {}).status_code == 201
    return api


def code_of(owner, **body):
    return owner.post("/share-codes/olga/lab", body).json()["code"]


def test_the_default_server_is_shared_before_it_ever_started(owner, bob):
    assert owner.get("/shares/olga/").json()["items"] == []
    assert owner.post("/shares/olga/", {"user": "bob"}).status_code == 200
    assert "access:servers!server=olga/" in bob.scopes()
    assert bob.get("/users/bob/shared/olga/").json()["server"]["name"] == ""
    assert owner.delete("/shares/olga/").status_code == 204
    assert "access:servers!server=olga/" not in bob.scopes()


def test_reading_shares_writes_nothing(hub, owner):
    owner.get("/shares/olga/")
    assert [s.name for s in hub.hub.servers.of_owners([hub.user("olga").id])] == ["lab"]


def test_shares_follow_renames_and_no_name_that_is_given_again(hub, owner, bob, admin):
    owner.post("/shares/olga/lab", {"user": "bob"})
    assert admin.patch("/users/olga", {"name": "olivia"}).status_code == 200
    hub.user("olga")
    assert admin.put("/users/olga/servers/lab", {}).status_code == 201
    held = bob.scopes()
    assert "access:servers!server=olivia/lab" in held
    assert "access:servers!server=olga/lab" not in held
    assert bob.get("/users/bob/shared").json()["items"][0]["scopes"] == ["access:servers!server=olivia/lab"]


def test_a_recreated_user_has_none_of_the_old_ones_shares(hub, owner, bob, admin):
    owner.post("/shares/olga/lab", {"user": "bob"})
    assert admin.delete("/users/bob").status_code == 204
    assert hub.as_user("bob").get("/users/bob/shared").json()["items"] == []


def test_a_group_share_is_seen_in_tokens_and_ends_with_the_group(hub, owner, admin):
    hub.user("bob", groups=["staff"])
    bob = hub.as_user("bob")
    owner.post("/shares/olga/lab", {"group": "staff"})
    assert "access:servers!server=olga/lab" in bob.scopes()
    assert admin.get("/groups/staff/shared").json()["items"][0]["kind"] == "group"
    assert bob.get("/users/bob/shared/olga/lab").status_code == 404  # JupyterHub: only what is shared directly
    assert admin.delete("/groups/staff").status_code == 204
    assert "access:servers!server=olga/lab" not in bob.scopes()


def test_a_groups_share_is_read_and_given_up_by_who_may(hub, owner, admin, alice):
    hub.user("bob", groups=["staff"])
    owner.post("/shares/olga/lab", {"group": "staff"})
    assert alice.delete("/groups/staff/shared/olga/lab").status_code == 403
    assert admin.get("/groups/staff/shared/olga/lab").json()["group"] == {"name": "staff"}
    assert admin.delete("/groups/staff/shared/olga/lab").status_code == 204
    assert admin.delete("/groups/staff/shared/olga/lab").status_code == 404


def test_a_friend_with_start_scope_starts_the_server_and_no_other(owner, bob, admin):
    admin.post("/shares/olga/lab", {"user": "bob", "scopes": ["access:servers", "servers"]})
    assert bob.post("/users/olga/servers/lab", {}).status_code == 202
    assert bob.post("/users/olga/server", {}).status_code == 404
    assert bob.get("/users/olga/servers/lab").json()["pending"] == "spawn"
    assert bob.get("/users/olga/server").status_code == 404
    assert bob.get("/users/olga").status_code == 404  # one server says nothing of its owner


def test_a_token_narrower_than_the_share_stays_narrow(hub, owner, bob):
    owner.post("/shares/olga/lab", {"user": "bob"})
    assert hub.as_user("bob", ["read:users:name!user"]).scopes() == [
        "read:users:groups!user=bob",
        "read:users:name!user=bob",
    ]
    assert "access:servers!server=olga/lab" in hub.as_user("bob", ["access:servers!server=olga/lab"]).scopes()


def test_a_second_grant_widens_and_a_revocation_narrows(owner, bob, admin):
    admin.post("/shares/olga/lab", {"user": "bob"})
    widened = admin.post("/shares/olga/lab", {"user": "bob", "scopes": ["read:servers"]}).json()
    assert widened["scopes"] == ["access:servers!server=olga/lab", "read:servers!server=olga/lab"]
    narrowed = admin.patch("/shares/olga/lab", {"user": "bob", "scopes": ["access:servers!server=olga/lab"]}).json()
    assert narrowed["scopes"] == ["read:servers!server=olga/lab"]
    assert admin.patch("/shares/olga/lab", {"user": "bob"}).json() == {}
    assert admin.patch("/shares/olga/lab", {"user": "nobody"}).json() == {}


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"user": "bob", "scopes": ["access:servers!user=olga"]}, "only !server=olga/lab"),
        ({"user": "bob", "scopes": ["access:servers!server=olga/other"]}, "only !server=olga/lab"),
        ({"user": "bob", "scopes": ["nonsense"]}, "No such scope: 'nonsense'"),
        ({"user": "bob", "scopes": ["admin-ui"]}, "cannot be shared"),
        ({"user": "nobody"}, "No such user: nobody"),
        ({"group": "nobody"}, "No such group: nobody"),
        ({"user": "bob", "group": "staff"}, "exactly one"),
        ({"user": ""}, "user"),
        ([], "object"),
    ],
)
def test_a_share_that_cannot_be_is_400_and_says_why(owner, admin, body, fault):
    refused = admin.post("/shares/olga/lab", body)
    assert refused.status_code == 400
    assert fault in refused.json()["message"]
    assert admin.get("/shares/olga/lab").json()["items"] == []


def test_who_may_not_read_names_learns_none_by_sharing(hub, owner):
    narrow = hub.as_user("olga", ["shares!user=olga"])
    answers = {name: narrow.post("/shares/olga/lab", {"user": name}) for name in ("root", "nobody")}
    assert {answer.status_code for answer in answers.values()} == {403}
    assert len({answer.text for answer in answers.values()}) == 1


def test_pages_are_always_wrapped(owner, hub):
    for name in ("u1", "u2", "u3"):
        hub.user(name)
        owner.post("/shares/olga/lab", {"user": name})
    first = owner.get("/shares/olga?limit=2").json()
    assert [len(first["items"]), first["_pagination"]["total"]] == [2, 3]
    rest = owner.get(first["_pagination"]["next"]["url"].partition("/hub/api")[2]).json()
    assert [i["user"]["name"] for i in rest["items"]] == ["u3"]
    assert rest["_pagination"]["next"] is None


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("kind", ["shares", "share-codes"])
def test_an_owner_alone_is_only_listed(owner, method, kind):
    assert owner(method, f"/{kind}/olga", json={}).status_code == 405


# --- codes -----------------------------------------------------------------------------------------------------------


def test_a_code_opens_for_many_and_counts(hub, owner):
    code = code_of(owner)
    for name in ("bob", "carol"):
        browser = hub.browser(name)
        assert (
            "<strong>olga</strong> shares the server “lab” with you"
            in browser.get(f"/hub/accept-share?code={code}").text
        )
        assert browser.submit("/hub/accept-share", code=code).headers["location"] == "/user/olga/lab/"
    listed = owner.get("/share-codes/olga/lab").json()["items"][0]
    assert listed["exchange_count"] == 2
    assert listed["last_exchanged_at"] is not None
    assert code not in owner.get("/share-codes/olga").text


def test_a_code_is_kept_as_a_hash_only(hub, owner, tmp_path):
    code = code_of(owner)
    hub.hub.users.count()
    assert all(code.encode() not in path.read_bytes() for path in tmp_path.glob("hub.sqlite*"))


def test_a_code_ends_at_its_time_whether_or_not_it_is_swept(hub, owner, monkeypatch):
    code = code_of(owner, expires_in=60)
    browser = hub.browser("bob")
    later = hub.hub.clock.now() + timedelta(seconds=60)
    monkeypatch.setattr(type(hub.hub.clock), "now", lambda _: later)
    assert browser.get(f"/hub/accept-share?code={code}").status_code == 404
    assert browser.submit("/hub/accept-share", code=code).status_code == 400
    assert owner.get("/share-codes/olga/lab").json()["items"] == []


def test_ones_own_code_opens_nothing(hub, owner):
    code, browser = code_of(owner), hub.browser("olga")
    assert browser.get(f"/hub/accept-share?code={code}").status_code == 403
    assert browser.submit("/hub/accept-share", code=code).status_code == 400


def test_the_login_redirects_back_to_the_share_code(hub, owner):
    code, browser = code_of(owner), hub.browser()
    there = browser.get(f"/hub/accept-share?code={code}").headers["location"]
    assert there.startswith("/hub/login?next=%2Fhub%2Faccept-share%3Fcode%3D")
    browser.get(there)
    answer = browser.post(there, data={"username": "bob", "password": "a long password", "_xsrf": browser.xsrf})
    assert answer.headers["location"] == f"/hub/accept-share?code={code}"


@pytest.mark.parametrize(
    ("sent", "headers"),
    [
        ({}, {}),
        ({"_xsrf": "made-up"}, {}),
        ({}, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}),
        ({}, {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}),
    ],
)
def test_a_foreign_page_accepts_nothing(hub, owner, bob, sent, headers):
    browser = hub.browser("bob")
    refused = browser.post("/hub/accept-share", data={"code": code_of(owner), **sent}, headers=headers)
    assert refused.status_code == 403
    assert "access:servers!server=olga/lab" not in bob.scopes()


def test_all_that_is_shown_of_an_offer_is_escaped(hub, admin):
    name = f"o{EVIL}".replace("/", "")
    hub.user(name, groups=["sharers"])
    owner = hub.as_user(name)
    path = "/share-codes/" + "".join(f"%{b:02x}" for b in name.encode())
    code = owner.post(path + "/", {}).json()["code"]
    page = hub.browser("bob").get(f"/hub/accept-share?code={code}&next=%22%3E%3Cscript%3E")
    assert page.status_code == 200
    assert "<img src=x" not in page.text
    assert not re.search(r'value="[^"]*"><script>', page.text)
    assert "default-src 'self'" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "http:evil.example"]
)
def test_accepting_leads_to_no_other_host(hub, owner, elsewhere):
    browser = hub.browser("bob")
    answer = browser.submit("/hub/accept-share", code=code_of(owner), next=elsewhere)
    assert answer.headers["location"] == "/user/olga/lab/"


def test_home_shows_what_is_shared(hub, owner):
    owner.post("/shares/olga/lab", {"user": hub.user("bob").name})
    home = hub.browser("bob").get("/hub/home").text
    assert "Shared with you" in home
    assert 'href="/hub/open/olga/lab"' in home
    assert "Shared with you" not in hub.browser("olga").get("/hub/home").text


@pytest.mark.parametrize("path", ["?id=sc_none", "?id=x", "?code=none", "?code=" + "x" * 5000])
def test_withdrawing_what_is_not_there_is_404(owner, path):
    code_of(owner)
    assert owner.delete("/share-codes/olga/lab" + path).status_code == 404
    assert len(owner.get("/share-codes/olga/lab").json()["items"]) == 1


def test_withdrawing_all_leaves_the_shares(hub, owner, bob):
    hub.browser("bob").submit("/hub/accept-share", code=code_of(owner))
    code = code_of(owner)
    assert owner.delete("/share-codes/olga/lab").status_code == 204
    assert hub.browser("bob").get(f"/hub/accept-share?code={code}").status_code == 404
    assert owner.delete("/share-codes/olga/lab").status_code == 204

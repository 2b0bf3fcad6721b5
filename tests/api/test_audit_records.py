"""What is recorded of what people and programs do, and that no secret is ever in it."""

import ast
import inspect
import re
from collections import Counter, defaultdict
from datetime import timedelta
from functools import cache

from functions.api.app import _routes
from hubless.bootstrap.settings_at_start import note_settings
from hubless.domain.audit import Act, DoerKind
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.tokens import OwnerKind
from hubless.domain.visits import Visit
from hubless.settings.digests import digests_of
from tests.api.hub import SETTINGS, An, build_hub
from tests.support.builders import a_server

ADMIN = "admin"  # the service that acts in most tests
OWN_PASSWORDS = '[login]\nkind = "password"\nadmins = ["root"]\n'
LONG = "correct horse battery staple nine"


def records(hub):
    """All records, the oldest first."""
    return [*hub.hub.auditing.page(hub.hub.auditing.query(), limit=200).records][::-1]


def acts(hub, of=ADMIN):
    """What one did, to whom, and details."""
    return [(str(one.act), one.on, dict(one.about)) for one in records(hub) if one.by.name == of]


def failures(hub):
    """How many logins failed, by name and address: an hour may end within a test."""
    found = Counter()
    for one in records(hub):
        if one.act is Act.LOGIN_FAILED:
            found[one.on, one.by.address] += one.count
    return found


def test_acts_on_users_name_who_did_them_from_where_and_with_which_token(hub):
    root = hub.as_user("root")
    hub.hub.accounts.promote(hub.user("root"), revoke=False)
    root.post("/users/zoe", {})
    root.post("/users", {"usernames": ["ann", "ben"]})
    root.patch("/users/zoe", {"name": "zora"})
    root.patch("/users/zora", {"admin": True})
    ann = hub.user("ann").id
    root.delete("/users/ann")
    assert root.post("/users/zora", {}).status_code == 409
    assert acts(hub, "root") == [
        ("user-added", "zoe", {}),
        ("user-added", "ann", {}),
        ("user-added", "ben", {}),
        ("user-renamed", "zoe", {"from": "zoe", "to": "zora"}),
        ("user-renamed", "zora", {"from": "zoe", "to": "zora"}),
        ("admin-rights-given", "zora", {}),
        ("user-removed", "ann", {"id": ann}),
    ]
    first = records(hub)[0]
    (token,) = hub.hub.token_store.of_owner(OwnerKind.USER, hub.user("root").id)
    assert (first.by.kind, first.by.address, first.by.token_id) == (DoerKind.USER, "127.0.0.1", token.id)


def test_acts_on_groups_name_who_joined_and_who_left(hub, admin):
    for name in ("ann", "ben"):
        hub.user(name)
    admin.post("/groups/physics", {"users": ["ann"]})
    admin.post("/groups/physics/users", {"users": ["ann", "ben"]})
    admin.delete("/groups/physics/users", {"users": ["ann"]})
    admin.put("/groups/physics/properties", {"room": 7})
    admin.delete("/groups/physics")
    assert acts(hub) == [
        ("group-added", "physics", {}),
        ("member-added", "ann", {"group": "physics"}),
        ("member-added", "ben", {"group": "physics"}),
        ("member-removed", "ann", {"group": "physics"}),
        ("group-changed", "physics", {}),
        ("group-removed", "physics", {}),
    ]


def test_servers_are_recorded_where_another_than_the_owner_acts(hub, admin, alice):
    for api, name in ((alice, "own"), (admin, "lab")):
        api.post(f"/users/alice/servers/{name}", {})
        api.delete(f"/users/alice/servers/{name}")
    admin.put("/users/alice/servers/new", {})
    admin.patch("/users/alice/servers/new", {"display_name": "New"})
    admin.delete("/users/alice/servers/new", {"remove": True})
    assert acts(hub, "alice") == []
    assert [(act, about["server"]) for act, on, about in acts(hub) if on == "alice"] == [
        ("server-started", "lab"),
        ("server-stopped", "lab"),
        ("server-changed", "new"),
        ("server-changed", "new"),
        ("server-stopped", "new"),
        ("server-removed", "new"),
    ]


def test_tokens_services_and_sessions_are_recorded(hub, admin, alice):
    token = alice.post("/users/alice/tokens", {"note": "mine"}).json()["id"]
    admin.delete(f"/users/alice/tokens/{token}")
    admin.post("/services/grader", {"url": "http://127.0.0.1:9", "api_token": "a-secret-of-the-grader"})
    admin.delete("/services/grader")
    admin.delete("/users/alice/sessions")
    assert acts(hub, "alice") == [("token-issued", "alice", {"token": token})]
    assert acts(hub) == [
        ("token-revoked", "alice", {"token": token}),
        ("service-added", "grader", {}),
        ("service-removed", "grader", {}),
        ("sessions-ended", "alice", {}),
    ]


def test_logins_and_logouts_are_recorded_and_failures_are_counted(hub):
    browser = hub.browser("alice")
    browser.get("/hub/logout")
    for _ in range(3):
        browser.get("/hub/login")
        browser.submit("/hub/login", username="Alice ", password="wrong")
    assert acts(hub, "alice") == [("login", "", {}), ("logout", "", {})]
    assert failures(hub) == {("alice", "127.0.0.1"): 3}
    assert all(one.at.minute == one.at.second == 0 for one in records(hub) if one.act is Act.LOGIN_FAILED)


def test_a_failed_login_records_no_name_that_is_no_users(hub):
    browser = hub.browser()
    for typed in (LONG, "x" * 3000, "", LONG.upper()):
        browser.get("/hub/login")
        browser.submit("/hub/login", username=typed, password="wrong")
    hub.anybody.post("/users/alice/tokens", {"auth": {"username": LONG, "password": "wrong"}})
    assert failures(hub) == {("", "127.0.0.1"): 5}


def test_an_attack_with_many_names_makes_a_bounded_number_of_records(hub, monkeypatch):
    monkeypatch.setattr("hubless.services.auditing._SLOTS", 8)
    for number in range(60):
        hub.hub.auditing.login_failed(f"10.0.0.{number}", f"user{number}")
    found = records(hub)
    assert len(found) <= 16  # eight an hour, and the hour may end now
    assert sum(one.count + one.others for one in found) == 60


def test_shares_are_recorded_by_api_and_by_page(hub, admin):
    hub.hub.servers.create(a_server("lab", owner_id=hub.user("olga").id), named_limit=0)
    hub.user("bob")
    admin.post("/shares/olga/lab", {"user": "bob"})
    code = admin.post("/share-codes/olga/lab", {}).json()
    admin.delete("/share-codes/olga/lab", params={"id": code["id"]})
    admin.delete("/share-codes/olga/lab")
    admin.patch("/shares/olga/lab", {"user": "bob"})
    lab = {"server": "lab"}
    assert acts(hub) == [
        ("share-granted", "olga", lab | {"user": "bob"}),
        ("share-code-made", "olga", lab),
        ("share-code-ended", "olga", lab),
        ("share-ended", "olga", lab | {"user": "bob"}),
    ]
    olga, bob = hub.browser("olga"), hub.browser("bob")
    olga.submit("/hub/share/olga/lab", do="link", hours="1", uses="1")
    link = re.search(r"accept-share\?code=(\w+)", olga.get("/hub/share/olga/lab").text)[1]
    bob.submit("/hub/accept-share", code=link)
    bob.submit("/hub/account/leave-share", server_id=hub.hub.servers.find(hub.user("olga").id, "lab").id)
    assert acts(hub, "olga")[1:] == [("share-code-made", "olga", lab)]
    assert acts(hub, "bob")[1:] == [("share-code-accepted", "olga", lab), ("share-ended", "bob", lab | {"left": "yes"})]


def test_what_admins_do_on_pages_is_recorded(tmp_path):
    hub = build_hub(tmp_path, OWN_PASSWORDS)
    hub.hub.accounts.set_password(hub.user("root", admin=True).name, LONG)
    root = hub.browser()
    root.get("/hub/login")
    root.submit("/hub/login", username="root", password=LONG)
    root.submit(root.submit("/hub/admin/people", people="ann\nben", links="none").headers["location"], do="add")
    root.submit("/hub/admin/users/ann/admin", admin="1")
    root.submit("/hub/admin/users/ann/admin", admin="0")
    root.submit("/hub/admin/users/ben/password-link")
    root.submit("/hub/admin/users/ben/log-out")
    root.submit("/hub/admin/users/ben/reset-factors")
    root.submit("/hub/admin/users/ben/delete")
    root.get("/hub/account/data")
    assert [(act, on) for act, on, _ in acts(hub, "root")] == [
        ("login", ""),
        ("user-added", "ann"),
        ("user-added", "ben"),
        ("admin-rights-given", "ann"),
        ("admin-rights-taken", "ann"),
        ("password-link-made", "ben"),
        ("sessions-ended", "ben"),
        ("second-factors-reset", "ben"),
        ("user-removed", "ben"),
        ("data-downloaded", "root"),
    ]


def test_no_secret_is_in_any_record(tmp_path):
    hub = build_hub(tmp_path, OWN_PASSWORDS + SETTINGS.partition("[servers]")[2].join(["[servers]", ""]))
    secrets = [LONG, An.ADMIN_TOKEN]
    hub.hub.accounts.set_password(hub.user("root", admin=True).name, LONG)
    admin, root = hub.as_token(An.ADMIN_TOKEN), hub.browser()
    root.get("/hub/login")
    root.submit("/hub/login", username=LONG, password=LONG)
    root.submit("/hub/login", username="root", password="a wrong one")
    root.submit("/hub/login", username="root", password=LONG)
    link = hub.hub.accounts.password_link("root")
    by_link = hub.browser()
    by_link.get(link)
    new = "another long password of root 7"
    by_link.submit(link, password=new, again=new, keep_sessions="1")
    root.submit("/hub/change-password", old=new, password=LONG + "!", again=LONG + "!")
    issued = hub.anybody.post(
        "/users/root/tokens", {"auth": {"username": "root", "password": LONG + "!"}, "note": LONG}
    )
    admin.post("/services/grader", {"url": "http://127.0.0.1:9", "api_token": "a-secret-of-the-grader"})
    hub.hub.servers.create(a_server("lab", owner_id=hub.user("root").id), named_limit=0)
    code = admin.post("/share-codes/root/lab", {}).json()["code"]
    admin.delete("/share-codes/root/lab", params={"code": code})
    note_settings(hub.hub)
    secrets += [link, link.partition("=")[2], new, issued.json()["token"], "a-secret-of-the-grader", code]
    done = {one.act for one in records(hub)}
    assert {Act.LOGIN, Act.PASSWORD_CHANGED, Act.TOKEN_ISSUED, Act.SHARE_CODE_ENDED, Act.SETTINGS_CHANGED} <= done
    text = repr(records(hub))
    assert [secret for secret in secrets if secret in text] == []


def test_changed_settings_are_recorded_by_table_without_values(tmp_path):
    hub = build_hub(tmp_path)
    note_settings(hub.hub)
    note_settings(hub.hub)
    other = build_hub(tmp_path, SETTINGS.replace("named_limit = 5", "named_limit = 6") + "[hub]\nname = 'Uni'\n")
    note_settings(other.hub)
    first, second = records(other)
    assert "changed" not in first.about
    assert second.about["changed"] == "hub, servers"
    assert second.by.kind is DoerKind.HUB


def test_a_digest_of_settings_needs_the_hubs_key(hub):
    settings = hub.hub.settings
    assert digests_of(settings, b"a" * 32) == digests_of(settings, b"a" * 32)
    assert not {*digests_of(settings, b"a" * 32).values()} & {*digests_of(settings, b"b" * 32).values()}


def test_an_act_is_done_although_its_record_cannot_be_stored(hub, admin, monkeypatch, caplog):
    def away(_records):
        raise StoreUnavailableError("the table is away")

    monkeypatch.setattr(type(hub.hub.audit_log), "add", lambda _self, given: away(given))
    assert admin.post("/users/zoe", {}).status_code == 201
    assert hub.hub.users.find("zoe") is not None
    assert "an audit record is not stored (the table is away)" in caplog.text
    assert "zoe" in caplog.text


def test_the_sweep_removes_records_that_were_kept_long_enough(hub, admin):
    admin.post("/users/zoe", {})
    hub.hub.reaping.sweep()
    assert len(records(hub)) == 1
    later = hub.hub.clock.now() + hub.hub.settings.audit.keep + timedelta(seconds=1)
    assert hub.hub.auditing.delete_old(later, 9) == 1
    assert records(hub) == []


def test_a_login_at_anothers_server_is_recorded(hub):
    visit = Visit("u-alice", "s1", "lab", "u-bob", "bob", by_role=True, at=hub.hub.clock.now())
    hub.hub.visits.tell(visit, "alice")
    assert acts(hub, "bob") == [("server-opened", "alice", {"server": "lab", "by": "role"})]


# --- every route that changes something records it, or is here with the reason why not ---

RECORDERS = {
    "record",
    "record_by",
    "record_of_server",
    "record_change",
    "people_added",
    "limit_home",
    "login_failed",
    "wrong_guess",
    "open_session",
}
NOT_RECORDED = {
    "pages.messages mark_read": "one's own messages",
    "pages.messages delete": "one's own messages",
    "routes.messages mark_message_read": "one's own messages",
    "routes.messages delete_message": "one's own messages",
    "pages.announcements put_one_away": "a reader's own browser remembers it",
    "routes.hub check_routes": "the hub does it by itself all the time",
    "routes.hub replace_proxy": "refuses",
    "routes.hub shutdown": "does nothing",
    "routes.users post_activity": "activity is no act",
    "routes.spares ask_for_launch": "a task asks which start it was given to; the start is recorded",
    "routes.users admin_access": "refuses",
    "routes.servers create_default": "refuses",
    "routes.servers keep_running": "an owner keeps an own server running",
    "routes.authorizations issue_by_password": "refuses",
    "routes.oauth consent": "the token is recorded when it is issued",
    "routes.oauth token": "Authorizations and TokenExchange record it",
    "routes.lti create_line_item": "the LMS records it",
    "routes.lti put_score": "the LMS records it",
    "pages.spawn stop_waiting": "an own start",
    "pages.people begin": "adds nobody yet",
    "pages.people forget": "shows links no more; they stay",
    "pages.home seen": "says that news were read",
    "pages.home new_server": "an own server",
    "pages.home keep_running": "an own server",
    "pages.home rename_server": "an own server",
    "pages.unrouted below_server_prefix": "changes nothing",
    "pages.lti begin": "begins a login, which is recorded at its end",
    "pages.lti choose_link": "tells the LMS which link to show",
    "pages.second_factor note_told": "says that a notice was read",
    "pages.providers link": "begins a login, whose end is recorded",
    "pages.forgotten forgot": "sends a mail; the change of the password is recorded",
    "pages.preferences set_preferences": "a language and a look",
    "pages.plain policy_report": "a browser's report",
    "pages.plain no_such_page": "changes nothing",
    "pages.plain to_the_hub": "changes nothing",
}


def changing():
    """The handlers of all routes that may change something."""
    for route in _routes():
        if route.methods - {"GET", "HEAD"}:
            module = route.endpoint.__module__.removeprefix("functions.api.")
            yield f"{module} {route.endpoint.__name__}", route.endpoint


@cache
def functions_of(module):
    """The functions, methods and classes of a module, by name."""
    found = defaultdict(list)
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name].append(node)
    return found


def called(handler):
    """All names that a handler uses, and those that functions of its module use for it."""
    bodies = functions_of(inspect.getmodule(handler))
    found, waiting = set(), [handler.__name__]
    while waiting:
        for body in bodies.get(waiting.pop(), ()):
            names = {n.id for n in ast.walk(body) if isinstance(n, ast.Name)}
            names |= {n.attr for n in ast.walk(body) if isinstance(n, ast.Attribute)}
            waiting += [name for name in names - found if name in bodies]
            found |= names
    return found


def test_a_route_that_changes_something_records_it():
    silent = {name for name, handler in dict(changing()).items() if not RECORDERS & called(handler)}
    assert silent - NOT_RECORDED.keys() == set(), "call `record`, or list the handler in NOT_RECORDED with the reason"


def test_the_list_of_routes_that_record_nothing_is_of_the_present():
    assert NOT_RECORDED.keys() <= {name for name, _ in changing()}

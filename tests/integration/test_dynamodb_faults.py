"""Crashes before and after each call of operations that take several calls to DynamoDB; and a table that refuses."""

import json
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from hubless.adapters.dynamodb import user_count
from hubless.adapters.dynamodb.database import TRIES, Database
from hubless.adapters.dynamodb.keys import (
    account,
    change,
    name,
    route,
    to_number,
    token,
    token_hash,
)
from hubless.domain.errors import HublessError, StoreUnavailableError
from hubless.domain.lifecycle import State
from hubless.domain.passwords import PasswordLink
from hubless.domain.routes import Route, RouteChange
from hubless.domain.shares import Share, ShareCode
from hubless.domain.tokens import sha256
from hubless.domain.users import Group, Service
from tests.support.builders import NOW, a_client, a_code, a_server, a_session, a_token, a_user
from tests.support.crash_points import CrashPoints
from tests.support.dynamodb import REGION, Contents, in_new_table, moto, stores_of
from tests.support.free_port import free_port
from tests.support.http_servers import running

LATER = NOW + timedelta(minutes=5)
MANY = 26  # tokens of each kind: with where they are listed more than a transaction holds
CROWD = [a_user(f"n{number:02}") for number in range(52)]
READY = a_server(state=State.READY, launch_id="l1")
IDLE = a_server("idle")
SHARE = Share("h1", IDLE.id, ("access:servers", "read:servers"), NOW, user_id="u-bob")
CODE = ShareCode("sc1", sha256("sc1"), IDLE.id, ("access:servers",), NOW, LATER)
GRADER = Service("grader", oauth_client_id="service-grader", from_settings=False)
ISSUED = {
    "clients.delete": [f"client{n}" for n in range(MANY)],
    "sessions.end": [f"session{n}" for n in range(MANY)],
    "services.delete": [f"service{n}" for n in range(MANY)],
}
ISSUED["users.delete"] = ISSUED["sessions.end"]

REMOVALS = {
    "users.delete": lambda s: s.users.delete("u-bob"),
    "groups.delete": lambda s: s.groups.delete("g1"),
    "servers.delete": lambda s: s.servers.delete(IDLE),
    "clients.delete": lambda s: s.clients.delete("c1", "l1"),
    "sessions.end": lambda s: s.sessions.end("session-bobs"),
    "services.delete": lambda s: s.services.delete(GRADER),
}
OPERATIONS = REMOVALS | {
    "users.create": lambda s: s.users.create([a_user(f"new{n}") for n in range(40)]),
    "users.change": lambda s: s.users.change(
        a_user("bob"), replace(a_user("bob"), name="bobby", admin=True, revision=1)
    ),
    "users.touch": lambda s: s.users.touch("u-alice", LATER),
    "groups.create": lambda s: s.groups.create(Group("g2", "new", tuple(user.name for user in CROWD))),
    "groups.add_users": lambda s: s.groups.add_users("g1", [user.name for user in CROWD]),
    "groups.remove_users": lambda s: s.groups.remove_users("g1", ["alice", "bob", "n01"]),
    "servers.create": lambda s: s.servers.create(a_server("new"), named_limit=9),
    "servers.write": lambda s: s.servers.write(
        IDLE, replace(IDLE, name="other", state=State.REQUESTED, launch_id="l", revision=1)
    ),
    "servers.touch": lambda s: s.servers.touch(READY.id, LATER),
    "tokens.create": lambda s: s.tokens.create(a_token("new", session_id="session-cookie", client_id="c1")),
    "tokens.delete": lambda s: s.tokens.delete([f"a-client{n}" for n in range(MANY)]),
    "tokens.delete_issued": lambda s: s.tokens.delete_issued("u-alice", "c1"),
    "tokens.delete_session": lambda s: s.tokens.delete_session("session-bobs"),
    "tokens.delete_expired": lambda s: s.tokens.delete_expired(LATER, 500),
    "clients.put": lambda s: s.clients.put(a_client(launch_id="l2"), a_token("own2", server_id=READY.id)),
    "clients.add_code": lambda s: s.clients.add_code(a_code("new")),
    "clients.take_code": lambda s: s.clients.take_code(a_code().sha256),
    "sessions.create": lambda s: s.sessions.create(a_session("new")),
    "sessions.end_all": lambda s: s.sessions.end_all("u-bob"),
    "shares.grant": lambda s: s.shares.grant(replace(SHARE, id="h9", scopes=("start:servers",))),
    "shares.revoke": lambda s: s.shares.revoke("h1", ["read:servers"]),
    "shares.delete_of_server": lambda s: s.shares.delete_of_server(IDLE.id),
    "codes.create": lambda s: s.codes.create(replace(CODE, id="sc2", sha256=sha256("sc2"))),
    "codes.delete": lambda s: s.codes.delete(IDLE.id),
    "services.create": lambda s: s.services.create(
        Service("other", token_sha256="t9", oauth_client_id="service-other")
    ),
    "passwords.set": lambda s: s.passwords.set("u-alice", "hash"),
    "passwords.rehash": lambda s: s.passwords.rehash("u-bob", "hash", "other"),
    "passwords.add_link": lambda s: s.passwords.add_link(PasswordLink("newer", "u-bob", LATER)),
    "passwords.use_link": lambda s: s.passwords.use_link("link", "other", NOW),
    "passwords.end_links": lambda s: s.passwords.end_links("u-bob"),
    "attempts.clear": lambda s: s.attempts.clear("alice"),
    "routes.put": lambda s: s.routes.put(Route("/user/bob/", "10.0.0.2:8888", "l3")),
    "routes.remove": lambda s: s.routes.remove("/user/alice/", "l1"),
    "routes.trim": lambda s: s.routes.trim(1),
}
BEFORE = {  # what makes an operation large, or possible
    "clients.put": lambda s: s.servers.write(READY, replace(READY, state=State.STARTING, launch_id="l2", revision=1)),
}


@pytest.fixture(scope="module")
def hub():
    """A hub in which every kind of thing has much hanging on it."""
    with moto() as database, pytest.MonkeyPatch.context() as patch:
        patch.setattr(user_count, "COUNTERS", 1)  # otherwise a retry may count in another one
        made = in_new_table(database)
        made.users.create([a_user(), a_user("bob"), *CROWD])
        made.groups.create(Group("g1", "staff", ("alice", "bob", *(user.name for user in CROWD[:50]))))
        made.servers.create(replace(READY, state=State.STARTING))
        made.servers.create(IDLE)
        made.servers.create(a_server("old", "bob"))
        made.clients.put(a_client(), a_token("own", server_id=READY.id))
        made.servers.write(replace(READY, state=State.STARTING), READY)
        made.services.create(GRADER)
        made.sessions.create(a_session("bobs", "bob"))
        for secret in ISSUED["clients.delete"]:
            made.tokens.create(a_token(secret, client_id="c1", expires_at=LATER))
        for secret in ISSUED["sessions.end"]:
            made.tokens.create(a_token(secret, "bob", session_id="session-bobs"))
        for secret in ISSUED["services.delete"]:
            made.tokens.create(a_token(secret, client_id="service-grader"))
        made.clients.add_code(a_code(session_id="session-bobs", user_id="u-bob"))
        made.sessions.create(a_session())
        made.clients.add_code(a_code())
        made.shares.grant(SHARE)
        made.shares.grant(Share("h2", IDLE.id, ("access:servers",), NOW, group_id="g1"))
        made.shares.grant(Share("h3", "s-bob-old", ("access:servers",), NOW, user_id="u-alice"))
        made.codes.create(CODE)
        made.passwords.set("u-bob", "hash")
        made.passwords.add_link(PasswordLink("link", "u-bob", LATER))
        made.attempts.add("alice", NOW)
        for number in range(30):
            made.routes.put(Route("/user/alice/", f"10.0.0.{number}:8888", "l1"))
        yield made, Contents().keep()
        made.close()


@pytest.fixture
def stores(hub, request):
    made, kept = hub
    Contents().bring_back(kept)
    BEFORE.get(request.node.callspec.params["operation"], lambda _: None)(made)
    return made


def sweep(stores):
    stores.tokens.delete_expired(NOW, 500)


def each_death(stores, act, then):
    """Crash *act* at each of its calls, and do *then* after each crash."""
    crash_points = CrashPoints([stores.database.client], lambda: sorted(Contents().read().items()), then)
    crash_points.act(lambda: act(stores))
    crash_points.assert_none_ended_badly()


def outcome(stores, act):
    """Return what the table holds before and after *act*, which is undone."""
    table = Contents()
    kept, before = table.keep(), table.read()
    act(stores)
    sweep(stores)
    after = table.read()
    table.bring_back(kept)
    return before, after


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_retry_after_a_crash_at_any_call_has_the_same_result(stores, operation):
    act = OPERATIONS[operation]
    before, after = outcome(stores, act)
    assert after != before

    def again():
        with suppress(HublessError):  # it may hear that it was done already
            act(stores)
        sweep(stores)
        assert Contents().read() == after

    each_death(stores, act, again)


@pytest.mark.parametrize("operation", REMOVALS)
def test_the_sweep_finishes_a_removal_and_nothing_authenticates_meanwhile(stores, operation):
    before, after = outcome(stores, REMOVALS[operation])
    hashes = [sha256(secret) for secret in ISSUED.get(operation, ())]

    def look():
        begun = Contents().read() != before
        found = [digest for digest in hashes if stores.tokens.find_with_user(digest) is not None]
        assert found == ([] if begun else hashes)
        logged_in = stores.sessions.find_with_user(a_session("bobs").sha256) is not None
        assert logged_in == (not begun or operation not in {"users.delete", "sessions.end"})
        sweep(stores)
        assert Contents().read() == (after if begun else before)

    each_death(stores, REMOVALS[operation], look)


# --- a table that refuses ---


class Refusing(BaseHTTPRequestHandler):
    """Answers every request with its server's error."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        status, code = self.server.answer
        self.server.asked += 1
        body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def credentials(monkeypatch):
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "test")


@pytest.fixture
def impatient(credentials, monkeypatch):
    """How long is waited between tries is not what is asked."""
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)


@pytest.fixture
def refusing(impatient):
    with HTTPServer(("127.0.0.1", free_port()), Refusing) as server:
        server.asked = 0
        server.stores = stores_of(Database("hubless", region=REGION, endpoint=f"http://127.0.0.1:{server.server_port}"))
        yield running(server)
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "code", "asked"),
    [
        (400, "ProvisionedThroughputExceededException", 4),
        (500, "InternalServerError", 4),
        (400, "ResourceNotFoundException", 1),
        (400, "AccessDeniedException", 1),
    ],
)
@pytest.mark.parametrize(
    "act",
    [
        lambda s: s.users.get("u-alice"),
        lambda s: s.users.touch("u-alice", LATER),
        lambda s: s.tokens.create(a_token()),
        lambda s: s.users.count(),
    ],
)
def test_a_table_that_refuses_is_unavailable_after_few_tries(refusing, act, status, code, asked):
    refusing.answer = status, code
    with pytest.raises(StoreUnavailableError, match=code):
        act(refusing.stores)
    assert refusing.asked == asked


def test_a_record_under_constant_contention_is_unavailable_after_retries(refusing):
    refusing.answer = 400, "TransactionConflictException"
    with pytest.raises(StoreUnavailableError, match="were faster"):
        refusing.stores.users.touch("u-alice", LATER)
    assert refusing.asked == TRIES


def test_a_table_that_does_not_answer_is_unavailable(impatient):
    stores = stores_of(Database("hubless", region=REGION, endpoint=f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(StoreUnavailableError, match="refused a request"):
        stores.users.get("u-alice")


# --- items of an older shape ---


def test_what_an_older_item_lacks_is_read_as_its_default(hub):
    stores, _ = hub
    Contents().bring_back(defaultdict(dict))
    user, digest = a_user(), sha256("old")
    at = {"N": str(to_number(NOW))}
    items = [
        (name("user", user.name), {"to": {"S": user.id}}),
        (account(user.id), {"id": {"S": user.id}, "name": {"S": user.name}, "created_at": at}),
        (token_hash(digest), {"to": {"S": "a-old"}, "owner": {"S": user.id}, "kind": {"S": "user"}}),
        (
            token("user", user.id, "a-old"),
            {
                "id": {"S": "a-old"},
                "sha256": {"S": digest},
                "owner_kind": {"S": "user"},
                "owner_id": {"S": user.id},
                "scopes": {"S": '["inherit"]'},
                "created_at": at,
                "what is not known": {"S": "any more"},
            },
        ),
    ]
    leads = {"prefix": {"S": "/user/alice/"}, "address": {"S": "10.0.0.1:8888"}, "sequence": {"N": "1"}}
    items += [(route("/user/alice/"), leads | {"launch_id": {"S": "l1"}}), (change(1), leads)]
    for key, facts in items:
        Contents().add({"pk": {"S": key.pk}, "sk": {"S": key.sk}} | facts)
    assert list(stores.routes.all()) == [Route("/user/alice/", "10.0.0.1:8888", "l1")]
    assert stores.routes.changes_since(0, 9) == [RouteChange(1, "/user/alice/", "10.0.0.1:8888")]
    assert stores.users.find(user.name) == user
    assert stores.tokens.find_with_user(digest) == (a_token("old"), user)

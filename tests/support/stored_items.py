"""Items of DynamoDB as one version of the code wrote them, and what it read from them: `tests/data/items-vN.json`.

A file is written once, when the shape of items changes (`python -m tests.support.stored_items
tests/data/items-v2.json`), and never again: tables that are full of such items are read by all later code, without a
migration.
"""

import json
import sys
from dataclasses import fields, is_dataclass
from datetime import datetime, time, timedelta
from enum import Enum
from pathlib import Path
from zoneinfo import ZoneInfo

from hubless.domain.announcements import Announcement, Kind
from hubless.domain.audit import Act, AuditQuery, AuditRecord, Doer, DoerKind
from hubless.domain.budgets import Budget, Ledger
from hubless.domain.edges import INITIAL_STATE, DesiredEdgeState, EdgePower
from hubless.domain.email_addresses import EmailAddress
from hubless.domain.histograms import SPAWN_DURATION
from hubless.domain.imported_secrets import prefix_of
from hubless.domain.join_links import JoinLink
from hubless.domain.launch_times import LaunchTime
from hubless.domain.letters import Letter
from hubless.domain.lifecycle import StartStep, State
from hubless.domain.maintenance import Maintenance
from hubless.domain.metering import Metering
from hubless.domain.passwords import PasswordLink
from hubless.domain.routes import EdgeReport, Route, ServerKey
from hubless.domain.schedules import Schedule, facts_of
from hubless.domain.second_factors import AuthenticatorApp, Factors, Passkey
from hubless.domain.shares import Share, ShareCode
from hubless.domain.sign_ups import SignUp
from hubless.domain.tokens import OwnerKind, sha256
from hubless.domain.usage import Usage
from hubless.domain.user_notes import UserNote
from hubless.domain.users import Group, Service
from hubless.domain.visits import Visit
from hubless.ports.lti import SealedKeys
from tests.support.builders import (
    NOW,
    a_client,
    a_code,
    a_course,
    a_platform,
    a_server,
    a_session,
    a_token,
    a_user,
    an_identity,
    an_imported_hash,
)
from tests.support.dynamodb import Contents, in_new_table, moto

DATA = Path(__file__).parents[1] / "data"
LATER, SOON = NOW + timedelta(hours=1), NOW + timedelta(minutes=5)
FULL = {
    "profile": "lab",
    "user_options": {"size": [1, "ü"]},
    "display_name": "Fourier",
    "launch_id": "l1",
    "task": "l1 arn:task",
    "address": "10.0.0.9:8888",
    "requested_at": NOW,
    "start_steps": (StartStep(State.REQUESTED, NOW), StartStep(State.READY, LATER)),
    "started_at": NOW,
    "deadline_at": LATER,
    "last_activity_at": NOW,
    "metering": Metering(500, 2048, 0, 250_000, "$", ("class",)),
    "revision": 3,
}
ENDED = {"failure": "CannotPullContainerError: no", "log_tail": ("one", "two")}
A_JOIN_LINK = JoinLink("j-1", sha256("ab12-cd34-ef56"), "ada", NOW, LATER, 30, "class", needs_approval=True)
A_SCHEDULE = Schedule(
    "Lab",
    frozenset({0, 2}),
    time(8, 50),
    time(10, 30),
    ZoneInfo("Europe/Berlin"),
    ("class",),
    lead=timedelta(minutes=9),
)
AN_ANNOUNCEMENT = Announcement("n-1", "*Exams*", Kind.WARNING, NOW, LATER, "ada", NOW, ("class",), 1)
A_MAINTENANCE = Maintenance("m-1", "New disks", NOW, "ada", LATER, admins_start=True)
A_LETTER = Letter("le-1", "Exam", "At *nine*", "ada", NOW, LATER, "user#u-ada", by_mail=True)
READER = Service(
    name="reader",
    url="http://10.0.0.3:80",
    token_sha256="t1",
    oauth_client_id="service-reader",
    oauth_redirect_uri="/services/reader/oauth_callback",
    oauth_client_allowed_scopes=("self",),
    info={"of": 1},
    from_settings=False,
)


def fill(stores):
    """Write something of every kind."""
    stores.users.create([a_user(admin=True, user_info={"mail": "a@example.org"}), a_user("bob"), a_user("zoë")])
    stores.users.touch("u-bob", LATER)
    stores.groups.create(Group("g-class", "class", users=("alice", "zoë"), properties={"room": 7}))
    started = a_server(state=State.STARTING, **FULL | {"started_at": None})
    for server in (started, a_server("second"), a_server(owner="bob", state=State.FAILED, **FULL | ENDED)):
        stores.servers.create(server)
    stores.clients.put(
        a_client(), a_token("own", owner_kind=OwnerKind.USER, server_id="s-alice-", scopes=("users:activity!user",))
    )
    ready = a_server(state=State.READY, **FULL | {"revision": 4})
    stores.servers.write(started, ready)
    stores.servers.touch("s-alice-", LATER, owner_id="u-alice")
    stores.sessions.create(a_session())
    stores.clients.add_code(a_code(challenge="c", challenge_method="S256"))
    stores.tokens.create(a_token(note="of the tests", scopes=("read:users!user=bob", "self"), expires_at=LATER))
    stores.tokens.create(a_token("issued", client_id="c1", session_id="session-cookie"))
    stores.tokens.create(a_token("service", owner_kind=OwnerKind.SERVICE, owner_id="reader"))
    stores.tokens.touch("a-secret", LATER)
    stores.services.create(READER)
    stores.shares.grant(Share("h-1", "s-alice-", ("access:servers",), NOW, user_id="u-bob"))
    stores.shares.grant(Share("h-2", "s-alice-", ("access:servers", "read:servers"), NOW, group_id="g-class"))
    stores.codes.create(ShareCode("k-1", sha256("share"), "s-alice-", ("access:servers",), NOW, LATER))
    stores.routes.put(Route("/user/alice/", "10.0.0.9:8888", "l1", ServerKey("s-alice-", "u-alice")))
    stores.routes.put(Route("/user/bob/", "10.0.0.10:8888", "l2", ServerKey("s-bob-", "u-bob")))
    stores.routes.remove("/user/bob/", "l2")
    stores.routes.report(EdgeReport("edge-1", 2, NOW))
    stores.passwords.set("u-alice", "$argon2id$hash")
    stores.passwords.add_link(PasswordLink(sha256("link"), "u-bob", LATER))
    with_app = Factors("u-alice").with_app(AuthenticatorApp(b"sealed", NOW, 7), (sha256("recovery"),))
    stores.factors.save(Factors("u-alice"), with_app)
    passkey = Passkey("aWQ", b"key", 1, "hub.example", "Laptop", NOW, LATER)
    stores.factors.save(with_app, with_app.with_passkey(passkey, ()))
    stores.attempts.add("alice", NOW)
    stores.attempts.delete_before(NOW - timedelta(hours=1))
    stores.usage.add(Usage("l0", "s-alice-", "u-alice", "lab", NOW, LATER, "stopped", FULL["metering"]))
    stores.launch_rate_limiter.acquire()
    stores.sweeps.set_resume_point("", "s-alice-")
    stores.external_identities.link(an_identity())
    stores.auth_states.set("u-alice", "sealed")
    stores.visits.put(Visit("u-alice", "s-alice-", "", "u-bob", "bob", by_role=False, at=NOW))
    stores.desired_edge_state.write(INITIAL_STATE, DesiredEdgeState(EdgePower.RUNNING, NOW))


def fill_beside(stores):
    """Write what outlives users: of an LMS, sign-ups, imports and metrics. No user's end removes it."""
    stores.lti.replace_keys(None, SealedKeys("sealed", 1))
    stores.lti.add_platform(a_platform())
    stores.lti.save_course(None, a_course())
    stores.email_addresses.save(None, EmailAddress("u-alice", "a@example.org", "b@example.org", sha256("mail"), LATER))
    stores.user_notes.save(None, UserNote("u-alice", "Ask Tina", 1, "ada", NOW))
    stores.letters.create(A_LETTER)
    for user_id in ("u-alice", "u-bob"):
        stores.letters.deliver(A_LETTER, user_id)
    stores.letters.mark_read(A_LETTER.id, "u-alice", SOON, put_away=True)
    stores.letters.claim_mail(A_LETTER.id, "u-alice", NOW)
    stores.sign_ups.add(SignUp("carol", "u-carol", "$argon2id$hash", NOW, LATER, needs_approval=True), NOW, most=9)
    stores.join_codes.use(sha256("join"), 2)
    stores.ledgers.create(Ledger("group#class", "2026-11", servers=1, told={"class": 7}, seconds=60))
    stores.budgets.put(Budget("class", group="class", seconds=3600))
    stores.schedules.add(A_SCHEDULE)
    stores.join_links.add(A_JOIN_LINK, NOW, most=9)
    stores.join_links.use(A_JOIN_LINK.sha256, NOW)
    stores.bulletin.add(AN_ANNOUNCEMENT, NOW, most=9)
    stores.bulletin.set_maintenance(None, A_MAINTENANCE)
    stores.histograms.add([SPAWN_DURATION.counted(timedelta(seconds=3), "success", "")])
    stores.launch_times.add("lab", LaunchTime(NOW, timedelta(seconds=40)))
    stores.import_marks.put("old hub", {"user:alice": "digest"})
    doer = Doer(DoerKind.USER, "alice", "10.0.0.7", "a-secret")
    stores.audit.add([AuditRecord("r1", NOW, Act.TOKEN_REVOKED, doer, "bob", {"token": "a-1"})])
    stores.tokens.create(a_token("imported", sha256=an_imported_hash("imported", 1)))


def read_beside(stores):
    """Return all that the stores say of what `fill_beside` wrote."""
    return _plain(
        {
            "lti": [stores.lti.keys(), stores.lti.platforms(), stores.lti.courses()],
            "email": stores.email_addresses.get("u-alice"),
            "user_note": stores.user_notes.get("u-alice"),
            "letters": [stores.letters.page(NOW, limit=9), stores.letters.of_user("u-alice", NOW)],
            "unread": stores.users.get("u-bob").unread,
            "sign_ups": stores.sign_ups.all(NOW),
            "join_codes": stores.join_codes.uses(sha256("join")),
            "join_links": stores.join_links.all(NOW),
            "bulletin": stores.bulletin.read(NOW),
            "histograms": stores.histograms.all(),
            "launch_times": stores.launch_times.of("lab"),
            "ledgers": stores.ledgers.get_many(["group#class"]),
            "budgets": stores.budgets.all(),
            "schedules": [facts_of(one) for one in stores.schedules.all()],
            "import_marks": stores.import_marks.all("old hub"),
            "audit": stores.audit.page(AuditQuery(NOW, LATER), limit=9).records,
            "imported_token": stores.tokens.look_up(sha256("imported"), prefix_of("imported"))[1],
        }
    )


def read(stores):
    """Return all that the stores say of what `fill` wrote, as JSON has it."""
    edge = stores.desired_edge_state.read()
    received = {
        "users": [stores.users.get("u-alice"), stores.users.find("bob"), stores.users.get_many(["u-zoë"])],
        "page": stores.users.page(offset=0, limit=9, sort="last_activity"),
        "ready": stores.users.page(offset=0, limit=9, state="ready"),
        "active": stores.users.count(active_since=LATER),
        "groups": [stores.groups.find("class"), stores.groups.page(offset=0, limit=9)],
        "servers": stores.servers.of_owners(["u-alice", "u-bob"]),
        "in_states": [stores.servers.in_states([state]) for state in State if state is not State.PREPARING],
        "preparing": stores.servers.in_states([State.PREPARING]),  # unknown to version 1
        "token": [stores.tokens.find_with_user(sha256(secret)) for secret in ("secret", "own", "issued", "service")],
        "tokens": stores.tokens.of_owner(OwnerKind.USER, "u-alice"),
        "client": [stores.clients.get("c1"), stores.clients.find_code(sha256("code"))],
        "sessions": [stores.sessions.find_with_user(sha256("cookie")), stores.sessions.of_user("u-alice")],
        "services": [
            stores.services.all(),
            stores.services.of_token("t1"),
            stores.services.of_client("service-reader"),
        ],
        "shares": [
            stores.shares.page(offset=0, limit=9, server_id="s-alice-"),
            stores.shares.page(offset=0, limit=9, user_id="u-zoë"),
        ],
        "codes": [stores.codes.find(sha256("share")), stores.codes.page(offset=0, limit=9, server_id="s-alice-")],
        "routes": [
            list(stores.routes.all()),
            stores.routes.changes_since(0, 9),
            stores.routes.sequence(),
            stores.routes.reports(),
        ],
        "passwords": [stores.passwords.get("u-alice"), stores.passwords.find_link(sha256("link"), NOW).user_id],
        "factors": stores.factors.get("u-alice"),
        "failures": [stores.attempts.failures("alice", NOW - timedelta(days=1))],
        "usage": stores.usage.of_owner("u-alice"),
        "identities": [
            stores.external_identities.find_with_user(an_identity().id),
            stores.external_identities.of_user("u-alice"),
        ],
        "auth_state": [stores.auth_states.get("u-alice")],
        "place": stores.sweeps.resume_point(),
        "visits": stores.visits.by_share("u-alice", "s-alice-", NOW - timedelta(days=1), limit=9),
        "wish": {"wanted": edge.power, "since": edge.since},  # as the code of version 1 called them
    }
    return _plain(received)


def end(stores):
    """Bring to its end what `fill` wrote, as people do and the sweep."""
    stores.clients.delete("c1", "l1")
    stores.routes.remove("/user/alice/", "l1")
    ready = stores.servers.find("u-alice", "")
    stores.servers.write(ready, a_server(state=State.STOPPED, **FULL | {"revision": ready.revision + 1}))
    for user_id in ("u-alice", "u-bob", "u-zoë"):
        stores.users.delete(user_id)
    stores.groups.delete("g-class")
    stores.services.delete(stores.services.find("reader"))
    stores.join_links.end(A_JOIN_LINK.sha256)
    stores.letters.take_back(A_LETTER)
    stores.bulletin.remove(AN_ANNOUNCEMENT.id, revision=AN_ANNOUNCEMENT.revision)
    maintenance = stores.bulletin.read(NOW).maintenance
    stores.bulletin.set_maintenance(maintenance, None)


PLAIN = {
    bytes: bytes.decode,
    datetime: datetime.isoformat,
    timedelta: lambda value: value / timedelta(microseconds=1),
    Enum: lambda value: value.value,
}


def _plain(value):
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(_plain, value))
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return next((of(value) for kind, of in PLAIN.items() if isinstance(value, kind)), value)


def main(file):
    with moto() as database:
        stores = in_new_table(database)
        fill(stores)
        fill_beside(stores)
        items = [one for _, one in sorted(Contents().read().items())]
        lines = ",\n".join(json.dumps(item, sort_keys=True, ensure_ascii=False) for item in items)
        received = ",\n".join(
            f'"{name}": {json.dumps(one, sort_keys=True, ensure_ascii=False)}'
            for name, one in (read(stores) | read_beside(stores)).items()
        )
        Path(file).write_text(f'{{"items": [\n{lines}\n], "read": {{\n{received}\n}}}}\n')


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The cost of each operation on DynamoDB: the tests count real calls and compare them with docs/dynamodb.md."""

import inspect
import json
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, time, timedelta
from pathlib import Path

import pytest

from edge_proxy.agent import Agent
from edge_proxy.haproxy_config import EdgeConfiguration, UnixSocket
from hubless.domain.announcements import Announcement, Kind
from hubless.domain.audit import Act, AuditQuery, AuditRecord, Doer, DoerKind
from hubless.domain.budgets import Budget, Ledger
from hubless.domain.downtime import Uptimes
from hubless.domain.edges import INITIAL_STATE, DesiredEdgeState, EdgePower
from hubless.domain.email_addresses import EmailAddress
from hubless.domain.external_identities import AwaitedLogin
from hubless.domain.join_links import JoinLink
from hubless.domain.launch_times import LaunchTime
from hubless.domain.letters import Letter
from hubless.domain.lifecycle import ACTIVE, State
from hubless.domain.lock_policy import Window
from hubless.domain.maintenance import Maintenance
from hubless.domain.passwords import PasswordLink
from hubless.domain.people_batches import Batch
from hubless.domain.routes import EdgeReport, Route, ServerKey
from hubless.domain.schedules import Schedule
from hubless.domain.second_factors import Factors
from hubless.domain.shares import Share, ShareCode
from hubless.domain.sign_ups import SignUp
from hubless.domain.spares import Spare, claimed
from hubless.domain.tokens import OwnerKind, sha256
from hubless.domain.usage import TotalsOf, Usage
from hubless.domain.user_notes import UserNote
from hubless.domain.user_table import Sort, TableFilter
from hubless.domain.users import Group, Service
from hubless.domain.visits import Visit
from hubless.ports.audit import AuditLog
from hubless.ports.auth_state import AuthStateStore
from hubless.ports.budgets import BudgetStore
from hubless.ports.bulletin import BulletinStore
from hubless.ports.edges import DesiredEdgeStateStore
from hubless.ports.email_addresses import EmailAddressStore
from hubless.ports.external_identities import IdentityStore
from hubless.ports.join_links import JoinLinkStore
from hubless.ports.launch_rate_limiter import LaunchRateLimiter
from hubless.ports.launch_times import LaunchTimeStore
from hubless.ports.ledgers import LedgerStore
from hubless.ports.letters import LetterStore
from hubless.ports.lti import LtiStore, SealedKeys
from hubless.ports.password_logins import Guess, LoginFacts, PasswordLoginStore
from hubless.ports.passwords import AttemptStore, PasswordStore
from hubless.ports.pending_logins import PendingLoginStore
from hubless.ports.people_batches import PeopleBatchStore
from hubless.ports.routes import RouteStore
from hubless.ports.schedules import ScheduleStore
from hubless.ports.second_factors import FactorStore
from hubless.ports.servers import ServerStore
from hubless.ports.services import ServiceStore
from hubless.ports.shares import ShareCodeStore, ShareStore
from hubless.ports.sign_ups import JoinCodeStore, SignUpStore
from hubless.ports.single_use import SingleUseStore
from hubless.ports.spares import SpareStore
from hubless.ports.sweeps import SweepStore
from hubless.ports.tokens import ClientStore, SessionStore, TokenStore
from hubless.ports.usage import UsageLog
from hubless.ports.user_notes import UserNoteStore
from hubless.ports.users import GroupStore, UserStore
from hubless.ports.visits import VisitStore
from hubless.ports.waiting import WaitingList
from hubless.services.activity import Activity
from tests.support.builders import (
    NOW,
    a_client,
    a_code,
    a_course,
    a_pending_login,
    a_platform,
    a_server,
    a_session,
    a_token,
    a_user,
    an_identity,
    an_imported_hash,
)
from tests.support.dynamodb import Contents, in_new_table

PORTS = {
    "users": UserStore,
    "groups": GroupStore,
    "servers": ServerStore,
    "tokens": TokenStore,
    "clients": ClientStore,
    "sessions": SessionStore,
    "shares": ShareStore,
    "codes": ShareCodeStore,
    "services": ServiceStore,
    "lti": LtiStore,
    "passwords": PasswordStore,
    "launch_times": LaunchTimeStore,
    "visits": VisitStore,
    "audit": AuditLog,
    "waiting": WaitingList,
    "factors": FactorStore,
    "attempts": AttemptStore,
    "password_logins": PasswordLoginStore,
    "email_addresses": EmailAddressStore,
    "user_notes": UserNoteStore,
    "letters": LetterStore,
    "sign_ups": SignUpStore,
    "join_codes": JoinCodeStore,
    "routes": RouteStore,
    "usage": UsageLog,
    "budgets": BudgetStore,
    "schedules": ScheduleStore,
    "spares": SpareStore,
    "ledgers": LedgerStore,
    "launch_rate_limiter": LaunchRateLimiter,
    "sweeps": SweepStore,
    "desired_edge_state": DesiredEdgeStateStore,
    "external_identities": IdentityStore,
    "pending_logins": PendingLoginStore,
    "people_batches": PeopleBatchStore,
    "join_links": JoinLinkStore,
    "bulletin": BulletinStore,
    "single_use": SingleUseStore,
    "auth_states": AuthStateStore,
}
READS = {"GetItem", "BatchGetItem", "Query", "Scan"}
LATER, MUCH_LATER = NOW + timedelta(minutes=5), NOW + timedelta(days=30)
DOCUMENT = Path(__file__).parents[2] / "docs" / "dynamodb.md"
ROW = re.compile(r"\| `([^`]+)`([^|]*)\| (\d+) \| (\d+) \| (\d+) \|")

ALICE, BOB = a_user(), a_user("bob")
READY = a_server(state=State.READY, launch_id="l1", entered_at=NOW, task="t1", address="10.0.0.1:8888")
WAITING = a_server("lab", state=State.REQUESTED, launch_id="l2")
IDLE = a_server("idle")
SHARE = Share("h1", READY.id, ("access:servers",), NOW, user_id=BOB.id)
TO_GROUP = Share("h2", READY.id, ("access:servers",), NOW, group_id="g1")
A_SPARE = Spare("w1", "lab", "kind", NOW, "w1/arn:1", NOW)
VISIT = Visit("u-alice", READY.id, "lab", BOB.id, "bob", by_role=False, at=NOW)
A_SHARE_CODE = ShareCode("sc1", sha256("sc1"), READY.id, ("access:servers",), NOW, LATER)
AN_IMPORTED_TOKEN = a_token("imported", sha256=an_imported_hash("imported"))
AN_IMPORTED_CODE = replace(A_SHARE_CODE, id="sc9", sha256=an_imported_hash("imported"))
GRADER = Service("grader", token_sha256="t", oauth_client_id="service-grader", from_settings=False)
ROUTE = Route("/user/alice/", "10.0.0.1:8888", "l1")
AN_ACT = AuditRecord("r1", NOW, Act.USER_RENAMED, Doer(DoerKind.USER, "alice", "10.0.0.7"), "bob")
A_FAILURE = AuditRecord("", NOW, Act.LOGIN_FAILED, Doer(address="10.0.0.7"), "bob")
A_COURSE = a_course()
A_SCHEDULE = Schedule("lab", frozenset({0}), time(9), time(10), UTC, ("staff",))
AN_ANNOUNCEMENT = Announcement("n-1", "Exams", Kind.INFO, NOW, LATER, "ada", NOW)
A_MAINTENANCE = Maintenance("m-1", "New disks", NOW, "ada")
A_JOIN_LINK = JoinLink("j-1", "hash", "ada", NOW, LATER, 30, used=1)
A_BATCH = Batch("b-1", "u-alice", LATER, "sealed")
A_NOTE = UserNote(ALICE.id, "Ask Tina", 1, "ada", NOW)
A_LETTER = Letter("le-1", "Exam", "At nine", "ada", NOW, LATER)
A_SIGN_UP = SignUp("carol", "u-carol", "hash", NOW, LATER)
A_GUESS = Guess(NOW, Window(NOW, LATER), {"name": 9}, {"address": 99})
NO_GUESSES = LoginFacts(is_locked=False, as_read=dict.fromkeys(A_GUESS.limits))
HUB_LEDGER = Ledger("hub#", "2026-11")
USAGE = Usage("l1", READY.id, ALICE.id, "small", NOW, LATER, "stopped")


@pytest.fixture(scope="module")
def hub(in_moto):
    """A hub with two users in a group, three servers, and their credentials and shares."""
    made = in_new_table(in_moto)
    made.users.create([ALICE, BOB])
    made.users.recount(NOW)
    made.groups.create(Group("g1", "staff", ("alice", "bob")))
    for server in (replace(READY, state=State.STARTING), WAITING, IDLE):
        made.servers.create(server)
    made.clients.put(a_client(), a_token("own", server_id=READY.id))
    made.servers.write(replace(READY, state=State.STARTING), READY)
    made.tokens.create(a_token())
    made.sessions.create(a_session())
    made.tokens.create(a_token("issued", session_id="session-cookie", client_id="c1", expires_at=LATER))
    made.clients.add_code(a_code())
    made.codes.create(A_SHARE_CODE)
    made.services.create(GRADER)
    made.routes.put(ROUTE)
    made.passwords.set(ALICE.id, "hash")
    made.passwords.add_link(PasswordLink("link", ALICE.id, LATER))
    made.attempts.add("alice", NOW)
    made.email_addresses.save(None, EmailAddress(ALICE.id, "ada@example.org"))
    made.user_notes.save(None, A_NOTE)
    made.letters.create(A_LETTER)
    made.letters.deliver(A_LETTER, ALICE.id)
    made.sign_ups.add(A_SIGN_UP, NOW, most=9)
    made.join_codes.use("code", 9)
    made.usage.add(USAGE)
    made.ledgers.create(HUB_LEDGER)
    made.external_identities.link(an_identity())
    made.pending_logins.add(a_pending_login())
    made.people_batches.add(A_BATCH)
    made.join_links.add(A_JOIN_LINK, NOW, most=9)
    made.schedules.add(A_SCHEDULE)
    made.bulletin.add(AN_ANNOUNCEMENT, NOW, most=9)
    made.spares.add(A_SPARE)
    made.launch_rate_limiter.acquire()
    made.waiting.ask(ALICE.id, NOW)
    yield made, Contents().keep()
    made.close()


@pytest.fixture
def stores(hub):
    made, kept = hub
    Contents().bring_back(kept)
    return made


class Counted:
    """Counts the calls that are made within it."""

    def __init__(self, database):
        self._events = database.client.meta.events
        self.calls = Counter()
        self.items = 0

    def __enter__(self):
        self._events.register("before-call.dynamodb", self._count)
        return self

    def __exit__(self, *_):
        self._events.unregister("before-call.dynamodb", self._count)

    def _count(self, model, **_):
        self.calls[model.name] += 1

    @property
    def cost(self):
        reads = sum(number for name, number in self.calls.items() if name in READS)
        return reads, self.calls.total() - reads


USUAL = {
    "users.get": lambda s: s.users.get(ALICE.id),
    "users.find": lambda s: s.users.find("alice"),
    "users.get_many": lambda s: s.users.get_many([ALICE.id, BOB.id]),
    "users.holders": lambda s: s.users.holders(["alice", "ALICE", "new"]),
    "users.create": lambda s: s.users.create([a_user(f"new{n}") for n in range(24)]),
    "users.change": lambda s: s.users.change(BOB, replace(BOB, name="bobby", revision=1)),
    "users.delete": lambda s: s.users.delete(BOB.id),
    "users.count": lambda s: s.users.count(),
    "users.recount": lambda s: s.users.recount(NOW),
    "users.page": lambda s: s.users.page(offset=0, limit=50, name_contains="a"),
    "users.few_named": lambda s: s.users.few_named("a", 50),
    "users.table": lambda s: s.users.table(TableFilter(), Sort.NAME, limit=20),
    "users.sorts": lambda s: s.users.sorts(TableFilter()),
    "users.admins": lambda s: s.users.admins(),
    "users.touch": lambda s: s.users.touch(ALICE.id, LATER),
    "users.seen_since": lambda s: s.users.seen_since(NOW),
    "groups.find": lambda s: s.groups.find("staff"),
    "groups.names": lambda s: s.groups.names(["g1"]),
    "groups.create": lambda s: s.groups.create(Group("g2", "new", ("alice", "bob"))),
    "groups.delete": lambda s: s.groups.delete("g1"),
    "groups.add_users": lambda s: s.groups.add_users("g1", ["alice"]),
    "groups.remove_users": lambda s: s.groups.remove_users("g1", ["alice"]),
    "groups.set_memberships": lambda s: s.groups.set_memberships(ALICE.id, [Group("g2", "new"), Group("x", "staff")]),
    "groups.set_properties": lambda s: s.groups.set_properties("g1", {"a": 1}),
    "groups.change_properties": lambda s: s.groups.change_properties("g1", {}, {"a": 1}),
    "groups.summary": lambda s: s.groups.summary("staff"),
    "groups.summaries": lambda s: s.groups.summaries(limit=50),
    "groups.members": lambda s: s.groups.members("g1", limit=50),
    "groups.page": lambda s: s.groups.page(offset=0, limit=50),
    "servers.get": lambda s: s.servers.get(READY.id),
    "servers.find": lambda s: s.servers.find(ALICE.id, ""),
    "servers.get_many": lambda s: s.servers.get_many([READY.id, IDLE.id]),
    "servers.of_owners": lambda s: s.servers.of_owners([ALICE.id, BOB.id]),
    "servers.create": lambda s: s.servers.create(a_server("new"), named_limit=9),
    "servers.create_many": lambda s: s.servers.create_many([a_server("new"), a_server("new", "bob")]),
    "servers.write": lambda s: s.servers.write(
        READY, replace(READY, state=State.STOPPING, entered_at=LATER, revision=1)
    ),
    "servers.recount_active": lambda s: s.servers.recount_active(9, NOW),
    "servers.delete": lambda s: s.servers.delete(IDLE),
    "servers.touch": lambda s: s.servers.touch(READY.id, LATER),
    "servers.in_states": lambda s: s.servers.in_states(ACTIVE),
    "servers.count": lambda s: s.servers.count([State.READY]),
    "servers.queue_position": lambda s: s.servers.queue_position(WAITING, NOW),
    "tokens.find": lambda s: s.tokens.find(a_token().sha256),
    "tokens.find_with_user": lambda s: s.tokens.find_with_user(a_token().sha256),
    "tokens.look_up": lambda s: s.tokens.look_up(a_token().sha256, "secr"),
    "tokens.adopt": lambda s: s.tokens.adopt(AN_IMPORTED_TOKEN, sha256("imported"), NOW),
    "tokens.get": lambda s: s.tokens.get(OwnerKind.USER, ALICE.id, a_token().id),
    "tokens.of_owner": lambda s: s.tokens.of_owner(OwnerKind.USER, ALICE.id),
    "tokens.issued": lambda s: s.tokens.issued(ALICE.id, "c1", 50),
    "tokens.create": lambda s: s.tokens.create(a_token("new")),
    "tokens.create_many": lambda s: s.tokens.create_many([a_token(f"new{n}") for n in range(30)]),
    "tokens.keep_newest": lambda s: s.tokens.keep_newest("session-cookie", "c1", 5),
    "tokens.delete": lambda s: s.tokens.delete([a_token().id, a_token("issued").id]),
    "tokens.delete_issued": lambda s: s.tokens.delete_issued(ALICE.id, "c1"),
    "tokens.delete_session": lambda s: s.tokens.delete_session("session-cookie"),
    "tokens.touch": lambda s: s.tokens.touch(a_token().id, LATER, address="192.0.2.7", agent="curl"),
    "tokens.delete_expired": lambda s: s.tokens.delete_expired(NOW, 500),
    "clients.get": lambda s: s.clients.get("c1"),
    "clients.put": lambda s: s.clients.put(
        a_client("c2", server_id=WAITING.id, launch_id="l2"), a_token("own2", server_id=WAITING.id)
    ),
    "clients.delete": lambda s: s.clients.delete("c1", "l1"),
    "clients.add_code": lambda s: s.clients.add_code(a_code("new")),
    "clients.find_code": lambda s: s.clients.find_code(a_code().sha256),
    "clients.take_code": lambda s: s.clients.take_code(a_code().sha256),
    "clients.delete_expired_codes": lambda s: s.clients.delete_expired_codes(NOW, 500),
    "sessions.find_with_user": lambda s: s.sessions.find_with_user(a_session().sha256),
    "sessions.create": lambda s: s.sessions.create(a_session("new")),
    "sessions.of_user": lambda s: s.sessions.of_user(ALICE.id),
    "sessions.keep_newest": lambda s: s.sessions.keep_newest(ALICE.id, 9),
    "sessions.end": lambda s: s.sessions.end("session-cookie"),
    "sessions.end_all": lambda s: s.sessions.end_all(ALICE.id),
    "sessions.delete_expired": lambda s: s.sessions.delete_expired(NOW, 500),
    "shares.grant": lambda s: s.shares.grant(SHARE),
    "shares.revoke": lambda s: s.shares.revoke("h1"),
    "shares.find": lambda s: s.shares.find(READY.id, user_id=BOB.id),
    "shares.delete_of_server": lambda s: s.shares.delete_of_server(READY.id),
    "shares.page": lambda s: s.shares.page(offset=0, limit=50, server_id=READY.id),
    "codes.create": lambda s: s.codes.create(replace(A_SHARE_CODE, id="sc2", sha256=sha256("sc2"))),
    "codes.find": lambda s: s.codes.find(sha256("sc1")),
    "codes.look_up": lambda s: s.codes.look_up(sha256("sc1"), "sc1"),
    "codes.adopt": lambda s: s.codes.adopt(AN_IMPORTED_CODE, sha256("imported"), NOW),
    "codes.exchange": lambda s: s.codes.exchange(A_SHARE_CODE, SHARE, NOW),
    "codes.delete": lambda s: s.codes.delete(READY.id),
    "codes.page": lambda s: s.codes.page(offset=0, limit=50, server_id=READY.id),
    "codes.delete_expired": lambda s: s.codes.delete_expired(NOW, 500),
    "services.find": lambda s: s.services.find("grader"),
    "services.of_token": lambda s: s.services.of_token("t"),
    "services.of_client": lambda s: s.services.of_client("service-grader"),
    "services.all": lambda s: s.services.all(),
    "services.create": lambda s: s.services.create(Service("other", oauth_client_id="service-other")),
    "services.change": lambda s: s.services.change(GRADER, replace(GRADER, url=None)),
    "services.touch": lambda s: s.services.touch("grader", LATER),
    "services.last_seen": lambda s: s.services.last_seen(),
    "services.delete": lambda s: s.services.delete(GRADER),
    "lti.keys": lambda s: s.lti.keys(),
    "lti.replace_keys": lambda s: s.lti.replace_keys(None, SealedKeys("sealed")),
    "lti.platforms": lambda s: s.lti.platforms(),
    "lti.add_platform": lambda s: s.lti.add_platform(a_platform("new")),
    "lti.remove_platform": lambda s: s.lti.remove_platform(a_platform()),
    "lti.course": lambda s: s.lti.course(A_COURSE.issuer, A_COURSE.context_id),
    "lti.course_of_group": lambda s: s.lti.course_of_group(A_COURSE.group),
    "lti.courses": lambda s: s.lti.courses(),
    "lti.save_course": lambda s: s.lti.save_course(None, a_course("other")),
    "passwords.get": lambda s: s.passwords.get(ALICE.id),
    "passwords.set": lambda s: s.passwords.set(ALICE.id, "other"),
    "passwords.rehash": lambda s: s.passwords.rehash(ALICE.id, "hash", "other"),
    "passwords.rehashed_from": lambda s: s.passwords.rehashed_from(ALICE.id),
    "passwords.remove": lambda s: s.passwords.remove(ALICE.id, "hash"),
    "passwords.change": lambda s: s.passwords.change(ALICE.id, "hash", "other"),
    "passwords.add": lambda s: s.passwords.add({BOB.id: "hash"}),
    "email_addresses.get": lambda s: s.email_addresses.get(ALICE.id),
    "email_addresses.save": lambda s: s.email_addresses.save(None, EmailAddress(BOB.id, "b@example.org")),
    "email_addresses.users_of": lambda s: s.email_addresses.users_of("ada@example.org"),
    "user_notes.get": lambda s: s.user_notes.get(ALICE.id),
    "user_notes.save": lambda s: s.user_notes.save(A_NOTE, replace(A_NOTE, revision=2)),
    "letters.create": lambda s: s.letters.create(replace(A_LETTER, id="le-2")),
    "letters.get": lambda s: s.letters.get(A_LETTER.id, NOW),
    "letters.known": lambda s: s.letters.known(A_LETTER.id, NOW),
    "letters.page": lambda s: s.letters.page(NOW, limit=20),
    "letters.take_back": lambda s: s.letters.take_back(A_LETTER),
    "letters.deliver": lambda s: s.letters.deliver(A_LETTER, BOB.id),
    "letters.of_user": lambda s: s.letters.of_user(ALICE.id, NOW),
    "letters.mark_read": lambda s: s.letters.mark_read(A_LETTER.id, ALICE.id, NOW),
    "letters.forget": lambda s: s.letters.forget(ALICE.id, [A_LETTER.id]),
    "letters.claim_mail": lambda s: s.letters.claim_mail(A_LETTER.id, ALICE.id, NOW),
    "letters.release_mail": lambda s: s.letters.release_mail(A_LETTER.id, ALICE.id),
    "letters.delete_expired": lambda s: s.letters.delete_expired(NOW, 50),
    "sign_ups.add": lambda s: s.sign_ups.add(replace(A_SIGN_UP, name="dora"), NOW, most=9),
    "sign_ups.find": lambda s: s.sign_ups.find("carol", NOW),
    "sign_ups.all": lambda s: s.sign_ups.all(NOW),
    "sign_ups.change": lambda s: s.sign_ups.change(A_SIGN_UP, replace(A_SIGN_UP, revision=1)),
    "sign_ups.remove": lambda s: s.sign_ups.remove(A_SIGN_UP),
    "sign_ups.delete_expired": lambda s: s.sign_ups.delete_expired(NOW, 100),
    "join_codes.use": lambda s: s.join_codes.use("code", 9),
    "join_codes.give_back": lambda s: s.join_codes.give_back("code"),
    "join_codes.uses": lambda s: s.join_codes.uses("code"),
    "passwords.add_link": lambda s: s.passwords.add_link(PasswordLink("other", ALICE.id, LATER)),
    "passwords.find_link": lambda s: s.passwords.find_link("link", NOW),
    "passwords.use_link": lambda s: s.passwords.use_link("link", "other", NOW),
    "passwords.end_links": lambda s: s.passwords.end_links(ALICE.id),
    "factors.get": lambda s: s.factors.get(ALICE.id),
    "factors.save": lambda s: s.factors.save(Factors(ALICE.id), Factors(ALICE.id).with_failure(NOW)),
    "attempts.failures": lambda s: s.attempts.failures("alice", NOW),
    "attempts.add": lambda s: s.attempts.add("alice", NOW),
    "attempts.try_add": lambda s: s.attempts.try_add("alice", NOW, since=NOW, until=LATER, limit=9),
    "attempts.clear": lambda s: s.attempts.clear("alice"),
    "password_logins.read": lambda s: s.password_logins.read("alice", A_GUESS),
    "password_logins.count": lambda s: s.password_logins.count(NO_GUESSES, A_GUESS),
    "password_logins.accept": lambda s: s.password_logins.accept(NO_GUESSES, A_GUESS, a_session("by password")),
    "attempts.delete_before": lambda s: s.attempts.delete_before(NOW),
    "routes.put": lambda s: s.routes.put(Route("/user/bob/", "10.0.0.2:8888", "l3")),
    "routes.remove": lambda s: s.routes.remove(ROUTE.prefix, "l1"),
    "routes.all": lambda s: list(s.routes.all()),
    "routes.sequence": lambda s: s.routes.sequence(),
    "routes.changes_since": lambda s: s.routes.changes_since(1, 100),
    "routes.trim": lambda s: s.routes.trim(100),
    "routes.report": lambda s: s.routes.report(EdgeReport("e1", 1, NOW)),
    "routes.reports": lambda s: s.routes.reports(),
    "routes.is_applied": lambda s: s.routes.is_applied(1, NOW),
    "routes.forget_edge": lambda s: s.routes.forget_edge("e1"),
    "usage.add": lambda s: s.usage.add(replace(USAGE, launch_id="l9")),
    "sweeps.resume_point": lambda s: s.sweeps.resume_point(),
    "sweeps.set_resume_point": lambda s: s.sweeps.set_resume_point("", "2 l1"),
    "sweeps.uptimes": lambda s: s.sweeps.uptimes(),
    "sweeps.set_uptimes": lambda s: s.sweeps.set_uptimes(
        Uptimes(), Uptimes().seen(NOW, timedelta(hours=1), edges_report=True)
    ),
    "desired_edge_state.read": lambda s: s.desired_edge_state.read(),
    "desired_edge_state.write": lambda s: s.desired_edge_state.write(
        INITIAL_STATE, DesiredEdgeState(EdgePower.RUNNING, NOW)
    ),
    "budgets.all": lambda s: s.budgets.all(),
    "budgets.put": lambda s: s.budgets.put(Budget("class", servers=2)),
    "budgets.remove": lambda s: s.budgets.remove("class"),
    "spares.all": lambda s: s.spares.all(),
    "spares.find": lambda s: s.spares.find(A_SPARE.id),
    "spares.add": lambda s: s.spares.add(replace(A_SPARE, id="w2")),
    "spares.replace": lambda s: s.spares.replace(A_SPARE, replace(A_SPARE, revision=1)),
    "spares.remove": lambda s: s.spares.remove(A_SPARE),
    "spares.claim_of": lambda s: s.spares.claim_of(A_SPARE.id),
    "spares.remove_claim": lambda s: s.spares.remove_claim(A_SPARE.id),
    "spares.claim": lambda s: s.spares.claim(
        A_SPARE, claimed(A_SPARE, WAITING), server=WAITING, launched=replace(WAITING, state=State.LAUNCHING, revision=1)
    ),
    "schedules.all": lambda s: s.schedules.all(),
    "schedules.add": lambda s: s.schedules.add(replace(A_SCHEDULE, name="new")),
    "schedules.replace": lambda s: s.schedules.replace(A_SCHEDULE, replace(A_SCHEDULE, revision=1)),
    "schedules.remove": lambda s: s.schedules.remove(A_SCHEDULE.name),
    "ledgers.get_many": lambda s: s.ledgers.get_many(["hub#", "group#class"]),
    "ledgers.create": lambda s: s.ledgers.create(Ledger("group#class", "2026-11")),
    "ledgers.replace": lambda s: s.ledgers.replace(HUB_LEDGER, replace(HUB_LEDGER, changes=1)),
    "usage.of_month": lambda s: s.usage.of_month(TotalsOf.GROUP, "2026-11"),
    "usage.of_users": lambda s: s.usage.of_users([ALICE.id, "u-nobody"], "2026-11"),
    "usage.of_days": lambda s: s.usage.of_days(TotalsOf.USER, ALICE.id, "2026-11"),
    "usage.delete_expired": lambda s: s.usage.delete_expired(NOW, 50),
    "usage.of_owner": lambda s: s.usage.of_owner(ALICE.id),
    "launch_rate_limiter.acquire": lambda s: s.launch_rate_limiter.acquire(),
    "external_identities.find_with_user": lambda s: s.external_identities.find_with_user(an_identity().id),
    "external_identities.of_user": lambda s: s.external_identities.of_user(ALICE.id),
    "external_identities.link": lambda s: s.external_identities.link(an_identity("2")),
    "external_identities.await_login": lambda s: s.external_identities.await_login(
        BOB.id, AwaitedLogin("campus", "https://sso.example.org", "bob", LATER)
    ),
    "external_identities.create_user": lambda s: s.external_identities.create_user(
        a_user("new"), an_identity("2", "new")
    ),
    "external_identities.unlink": lambda s: s.external_identities.unlink(ALICE.id, an_identity().id),
    "pending_logins.add": lambda s: s.pending_logins.add(a_pending_login("new")),
    "pending_logins.take": lambda s: s.pending_logins.take(a_pending_login().state_sha256, NOW),
    "pending_logins.delete_expired": lambda s: s.pending_logins.delete_expired(NOW, 500),
    "launch_times.add": lambda s: s.launch_times.add("lab", LaunchTime(NOW, LATER - NOW)),
    "launch_times.of": lambda s: s.launch_times.of("lab"),
    "join_links.add": lambda s: s.join_links.add(replace(A_JOIN_LINK, id="new", sha256="new"), NOW, most=9),
    "join_links.find": lambda s: s.join_links.find(A_JOIN_LINK.sha256, NOW),
    "join_links.all": lambda s: s.join_links.all(NOW),
    "join_links.use": lambda s: s.join_links.use(A_JOIN_LINK.sha256, NOW),
    "join_links.give_back": lambda s: s.join_links.give_back(A_JOIN_LINK.sha256),
    "join_links.end": lambda s: s.join_links.end(A_JOIN_LINK.sha256),
    "join_links.delete_expired": lambda s: s.join_links.delete_expired(NOW, 100),
    "people_batches.add": lambda s: s.people_batches.add(replace(A_BATCH, id="new")),
    "people_batches.get": lambda s: s.people_batches.get(A_BATCH.id, NOW),
    "people_batches.change": lambda s: s.people_batches.change(A_BATCH, replace(A_BATCH, revision=1)),
    "people_batches.remove": lambda s: s.people_batches.remove(A_BATCH.id),
    "people_batches.delete_expired": lambda s: s.people_batches.delete_expired(NOW, 500),
    "bulletin.read": lambda s: s.bulletin.read(NOW),
    "bulletin.add": lambda s: s.bulletin.add(replace(AN_ANNOUNCEMENT, id="new"), NOW, most=9),
    "bulletin.replace": lambda s: s.bulletin.replace(AN_ANNOUNCEMENT, replace(AN_ANNOUNCEMENT, revision=2)),
    "bulletin.remove": lambda s: s.bulletin.remove(AN_ANNOUNCEMENT.id, revision=AN_ANNOUNCEMENT.revision),
    "bulletin.set_maintenance": lambda s: s.bulletin.set_maintenance(None, A_MAINTENANCE),
    "bulletin.delete_expired": lambda s: s.bulletin.delete_expired(NOW, 100),
    "waiting.ask": lambda s: s.waiting.ask(BOB.id, NOW),
    "waiting.find": lambda s: s.waiting.find(ALICE.id, NOW),
    "waiting.ahead": lambda s: s.waiting.ahead(None, NOW),
    "waiting.leave": lambda s: s.waiting.leave(ALICE.id),
    "visits.put": lambda s: s.visits.put(VISIT),
    "visits.by_role": lambda s: s.visits.by_role("u-alice", NOW, limit=9),
    "visits.by_share": lambda s: s.visits.by_share("u-alice", "s-alice-lab", NOW, limit=9),
    "audit.add": lambda s: s.audit.add([AN_ACT]),
    "audit.count": lambda s: s.audit.count(A_FAILURE, ["1", "2"]),
    "audit.page": lambda s: s.audit.page(AuditQuery(NOW, LATER), limit=50),
    "audit.delete_before": lambda s: s.audit.delete_before(LATER, 500),
    "single_use.use": lambda s: s.single_use.use("jti#1", LATER),
    "single_use.delete_expired": lambda s: s.single_use.delete_expired(NOW, 500),
    "auth_states.get": lambda s: s.auth_states.get(ALICE.id),
    "auth_states.set": lambda s: s.auth_states.set(ALICE.id, "sealed"),
}
PREPARED = {
    "users.admins": lambda s: (s.users.change(BOB, replace(BOB, admin=True, revision=1)), s.users.admins()),
    "password_logins.read": lambda s: s.password_logins.read("alice", A_GUESS),
    "external_identities.create_user": lambda s: s.external_identities.create_user(
        a_user("first"), an_identity("3", "first")
    ),
    "shares.revoke": lambda s: s.shares.grant(SHARE),
    "shares.find": lambda s: s.shares.grant(SHARE),
    "shares.delete_of_server": lambda s: s.shares.grant(SHARE),
    "lti.course_of_group": lambda s: s.lti.save_course(None, A_COURSE),
    "users.delete": lambda s: s.users.touch(BOB.id, NOW),
    "tokens.adopt": lambda s: s.tokens.create(AN_IMPORTED_TOKEN),
    "codes.adopt": lambda s: s.codes.create(AN_IMPORTED_CODE),
    "servers.recount_active": lambda s: s.servers.recount_active(9, NOW),
    "launch_rate_limiter.acquire": lambda s: s.launch_rate_limiter.acquire(),
}


class NoProxy:
    """Takes every route, and is no HAProxy."""

    def set(self, map_file, key, value):
        pass

    def replace(self, map_file, entries):
        return len(list(entries))

    def pid(self):
        return 1


def an_agent(routes, folder):
    """Return an edge's agent without its HAProxy."""
    edge = EdgeConfiguration(host="127.0.0.1", port=1, api=UnixSocket(folder / "api.sock"), run_folder=folder)
    agent = Agent(edge, routes, edge_id="e1", clock=lambda: NOW, heartbeat_seconds=3600)
    agent._haproxy.runtime = NoProxy()
    return agent


def documented():
    rows = {name: tuple(map(int, numbers)) for name, _, *numbers in ROW.findall(DOCUMENT.read_text())}
    assert rows, "docs/dynamodb.md has no table of calls"
    return rows


def counted(stores, act):
    with Counted(stores.database) as counter:
        act(stores)
    return counter


def test_every_operation_of_every_store_is_documented_and_counted():
    operations = {
        f"{store}.{name}"
        for store, port in PORTS.items()
        for name, _ in inspect.getmembers(port, inspect.isfunction)
        if not name.startswith("_")
    }
    assert set(USUAL) == operations
    assert {name for name in documented() if "." in name} == operations


@pytest.mark.parametrize("operation", USUAL)
def test_an_operation_costs_what_is_documented(stores, operation):
    PREPARED.get(operation, lambda _: None)(stores)
    found = counted(stores, USUAL[operation])
    reads, writes, trips = documented()[operation]
    assert found.cost == (reads, writes), found.calls
    assert trips == reads + writes
    assert "Scan" not in found.calls


@pytest.mark.parametrize("proof", ["token", "token of a server", "session"])
def test_an_authenticated_request_costs_two_round_trips(stores, proof):
    of_server = a_token("filtered", scopes=("users:activity!user=alice", "access:servers!server=alice/lab"))
    stores.tokens.create(of_server)
    ask = {
        "token": lambda s: s.tokens.find_with_user(a_token("issued").sha256),
        "token of a server": lambda s: s.tokens.find_with_user(of_server.sha256),
        "session": lambda s: s.sessions.find_with_user(a_session().sha256),
    }[proof]
    assert ask(stores)[1].groups == ("staff",)
    assert counted(stores, ask).cost == (2, 0)


def test_a_page_of_groups_costs_the_same_however_many_more_there_are(stores):
    before = counted(stores, lambda s: s.groups.summaries(limit=2)).cost
    stores.groups.create(*(Group(f"more{n}", f"staff{n}") for n in range(20)))

    found = counted(stores, lambda s: s.groups.summaries(limit=1, after="staff"))

    assert before == found.cost == (3, 0)
    assert counted(stores, lambda s: s.groups.summaries(limit=5)).cost == (2 + 5, 0)


def test_a_page_of_members_costs_the_same_however_many_more_there_are(stores):
    stores.users.create([a_user(f"m{n:03}") for n in range(250)])
    stores.groups.add_users("g1", [f"m{n:03}" for n in range(250)])

    assert counted(stores, lambda s: s.groups.members("g1", limit=99, after="u-m100")).cost == (2, 0)
    assert counted(stores, lambda s: s.groups.summary("staff")).cost == (3, 0)
    assert counted(stores, lambda s: s.groups.members("g1", limit=99, name_contains="m24")).cost == (6, 0)


def test_a_shared_scope_costs_one_read_more_and_by_a_group_two(stores):
    def ask(s):
        return s.tokens.find_with_user(a_token("bobs", "bob").sha256)

    stores.tokens.create(a_token("bobs", "bob"))
    stores.shares.grant(SHARE)
    assert ask(stores)[1].shared
    assert counted(stores, ask).cost == (3, 0)
    stores.shares.revoke("h1")
    stores.shares.grant(TO_GROUP)
    assert ask(stores)[1].shared
    assert counted(stores, ask).cost == (4, 0)


@pytest.mark.parametrize("store", ["tokens", "codes"])
def test_an_unknown_secret_costs_no_request_more_without_imports(stores, store):
    def ask(s):
        return getattr(s, store).look_up(sha256("wrong"), "wron")

    assert counted(stores, ask).cost == (1, 0)
    stores.tokens.create(AN_IMPORTED_TOKEN)
    assert counted(stores, ask).cost == (2, 0)


def test_activity_of_a_server_and_its_owner_is_one_write_of_one_item(stores):
    found = counted(stores, USUAL["servers.touch"])
    assert (found.calls["UpdateItem"], found.cost[1]) == (1, 1)
    assert stores.users.get(ALICE.id).last_activity_at == LATER


def test_an_edges_activity_costs_one_write_per_server_and_no_read(stores):
    activity = Activity(stores.servers, stores.users, queue=None, clock=None, pacing=None)
    seen = {ServerKey(server.id, ALICE.id): LATER for server in (READY, WAITING, IDLE)}
    found = counted(stores, lambda _: activity.report_seen(seen))
    assert found.calls == {"UpdateItem": 3}
    assert [stores.servers.get(server.server_id).last_activity_at for server in seen] == [LATER] * 3


def test_an_edges_activity_names_one_attribute(stores):
    bodies, events = [], stores.database.client.meta.events

    def see(params, **_):
        bodies.append(json.loads(params["body"]))

    events.register("before-call.dynamodb.UpdateItem", see)
    stores.servers.touch(READY.id, LATER, owner_id=ALICE.id)
    events.unregister("before-call.dynamodb.UpdateItem", see)

    (body,) = bodies
    paths = re.findall(r"#\w+(?:\.#\w+)*", body["UpdateExpression"] + body["ConditionExpression"])
    assert {body["ExpressionAttributeNames"][path.partition(".")[0]] for path in paths} == {"server_activity"}
    assert body.get("ReturnValues", "NONE") == "NONE"  # IAM's condition (infra/constructs/edge.py)


def test_an_idle_edge_costs_a_query_per_poll_and_a_write_per_heartbeat(stores, tmp_path):
    agent = an_agent(stores.routes, tmp_path)
    agent._poll_table()  # loads
    found = counted(stores, lambda _: [agent._poll_table() for _ in range(5)])
    assert found.calls == {"Query": 5}
    stores.routes.put(Route("/user/bob/", "10.0.0.2:8888", "l3"))
    found = counted(stores, lambda _: [agent._poll_table() for _ in range(5)])
    assert found.calls == {"Query": 5, "PutItem": 1}


def test_a_start_under_a_limit_and_an_end_cost_one_read_more(stores):
    asked = replace(IDLE, state=State.REQUESTED, launch_id="l6", revision=1, entered_at=LATER)
    stores.servers.recount_active(9, NOW)
    assert counted(stores, lambda s: s.servers.write(IDLE, asked, active_limit=9)).cost == (1, 1)
    ended = replace(asked, state=State.STOPPED, revision=2)
    assert counted(stores, lambda s: s.servers.write(asked, ended)).cost == (1, 1)


def test_a_spawn_costs_at_most_six_writes(stores):
    stores.servers.delete(IDLE)
    stores.servers.create(IDLE)

    def spawn(s):
        steps = [
            replace(IDLE, state=State.REQUESTED, launch_id="l5", revision=1, entered_at=NOW + timedelta(seconds=1)),
            replace(
                IDLE, state=State.LAUNCHING, launch_id="l5", revision=2, entered_at=NOW + timedelta(seconds=2), task="t"
            ),
            replace(
                IDLE, state=State.STARTING, launch_id="l5", revision=3, entered_at=NOW + timedelta(seconds=3), task="t"
            ),
            replace(
                IDLE, state=State.READY, launch_id="l5", revision=4, entered_at=NOW + timedelta(seconds=4), task="t"
            ),
        ]
        s.servers.write(IDLE, steps[0])
        s.clients.put(
            a_client("c5", server_id=IDLE.id, launch_id="l5"),
            a_token(
                "own5", server_id=IDLE.id, scopes=("users:activity!user=alice", "access:servers!server=alice/idle")
            ),
        )
        s.servers.write(steps[0], steps[1])
        s.servers.write(steps[1], steps[2])
        s.routes.put(Route("/user/alice/idle/", "10.0.0.3:8888", "l5"))
        s.servers.write(steps[2], steps[3])

    assert counted(stores, spawn).cost == (4, 6)


def test_a_listing_of_fifty_of_ten_thousand_reads_names_and_fifty_users(stores):
    from hubless.adapters.dynamodb import keys

    table = Contents()
    for number in range(10_000):
        key = keys.name("user", f"student-{number:05}")
        table.add({"pk": {"S": key.pk}, "sk": {"S": key.sk}, "to": {"S": f"u0{number:025}"}, "v": {"N": "1"}})
    stores.users.create([a_user(f"zz{n}", id=f"u9{n:025}") for n in range(50)])
    for how in ({}, {"name_contains": "zz"}, {"sort": "name"}, {"sort": "last_activity"}, {"state": "inactive"}):
        page = []
        found = counted(
            stores, lambda s, how=how, page=page: page.append(s.users.page(offset=0, limit=50, descending=True, **how))
        )
        assert len(page[0][0]) == 50 or how.get("sort") == "last_activity"
        assert set(found.calls) <= {"Query", "BatchGetItem"}
        assert (
            found.calls["BatchGetItem"] == 2
        )  # a hundred keys a call: each user's account and activity, and the hints
        assert found.calls["Query"] <= 2 + {"sort": 1, "state": len(ACTIVE)}.get(next(iter(how), ""), 0)

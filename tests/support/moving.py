"""Hubs that people move between: the service on any stores, and an archive with a record of every kind."""

from dataclasses import replace
from datetime import timedelta

from hubless.adapters.sealing import FernetSealer
from hubless.domain.archive import (
    Archive,
    ArchivedApp,
    ArchivedBudget,
    ArchivedGroup,
    ArchivedIdentity,
    ArchivedNote,
    ArchivedPasskey,
    ArchivedSchedule,
    ArchivedServer,
    ArchivedService,
    ArchivedShare,
    ArchivedShareCode,
    ArchivedSignUp,
    ArchivedToken,
    ArchivedUser,
)
from hubless.domain.external_identities import AwaitedLogin, ExternalId
from hubless.domain.import_choices import Choices
from hubless.domain.tokens import OwnerKind, sha256
from hubless.services.auth_states import AuthStates
from hubless.services.exporting import Exporting, HubStores
from hubless.services.moving import Moving
from tests.support.builders import NOW
from tests.support.fakes import StoppedClock

A_HASH = f"$argon2id$v=19$m=65536,t=3,p=4${'A' * 22}${'b' * 43}"
BCRYPT_HASH = f"$2b$12${'a' * 21}O{'b' * 31}"
CHOICES = Choices(keeps_auth_state=True)


class MovingHub:
    """A hub on *stores*, with a key of its own by which it seals."""

    def __init__(self, stores, key=b"k" * 32, configured=()):
        self.stores, self.clock = stores, StoppedClock(NOW)
        auth_states = AuthStates(stores.auth_states, FernetSealer(lambda: [key], "auth_state"), is_kept=True)
        self.app_secrets = FernetSealer(lambda: [key], "second factors")
        hub_stores = HubStores(
            users=stores.users,
            groups=stores.groups,
            servers=stores.servers,
            services=stores.services,
            tokens=stores.tokens,
            shares=stores.shares,
            share_codes=stores.codes,
            passwords=stores.passwords,
            emails=stores.email_addresses,
            user_notes=stores.user_notes,
            factors=stores.factors,
            identities=stores.external_identities,
            sign_ups=stores.sign_ups,
            budgets=stores.budgets,
            schedules=stores.schedules,
            auth_states=auth_states,
            app_secrets=self.app_secrets,
            marks=stores.import_marks,
            clock=self.clock,
        )
        self.exporting = Exporting(hub_stores, configured)
        self.moving = Moving(hub_stores, self.exporting)

    def plan(self, source, choices=CHOICES, origin="old"):
        return self.moving.plan(source, origin, choices)

    def bring(self, source, choices=CHOICES, origin="old"):
        """Import *source* and return the plan."""
        plan = self.plan(source, choices, origin)
        self.moving.carry_out(plan, origin)
        return plan

    def server(self, owner, name):
        return self.stores.servers.find(self.stores.users.find(owner).id, name)

    def archive(self, *, with_secrets=True):
        return self.exporting.read("here", with_secrets=with_secrets)


def a_hub():
    """Return an archive with a record of every kind, as another hub of ours would write it."""
    ada = ArchivedUser(
        "ada",
        admin=True,
        created_at=NOW - timedelta(days=90),
        last_activity_at=NOW - timedelta(days=1),
        user_info={"term": "spring"},
        password_hash=A_HASH,
        email="Ada@example.org",
        auth_state={"access_token": "upstream", "é": ["ü", 1]},
        app=ArchivedApp("S4L5DG3MC4OZV5H5", NOW - timedelta(days=3), is_imported=True),
        passkeys=(ArchivedPasskey("cred", b"\x00key", 7, "hub.example.org", "laptop", NOW, NOW),),
        recovery_codes=("hash-1", "hash-2"),
        identities=(ArchivedIdentity(ExternalId("https://id.example.org", "1001"), "campus", "ada@x", NOW, True),),
        id="u-ada-there",
        admin_note=ArchivedNote("Needs a large screen", "tina", NOW),
    )
    bob = ArchivedUser("bob", created_at=NOW - timedelta(days=80), password_hash=BCRYPT_HASH, id="u-bob-there")
    eve = ArchivedUser(
        "eve",
        last_activity_at=NOW - timedelta(days=1),
        created_at=NOW - timedelta(days=70),
        awaited=AwaitedLogin("campus", "https://id.example.org", "eve", NOW + timedelta(days=100)),
        id="u-eve-there",
    )
    return Archive(
        "there",
        users=(ada, bob, eve),
        sign_ups=(ArchivedSignUp("zoe", A_HASH, NOW - timedelta(days=2), "zoe@example.org"),),
        groups=(ArchivedGroup("class", ("ada", "bob"), {"n": 3}), ArchivedGroup("empty")),
        services=(
            ArchivedService(
                "dash",
                url="http://127.0.0.1:9000",
                oauth_client_id="service-dash",
                oauth_client_allowed_scopes=("access:services",),
                info={"team": "a"},
                client_secret_hash=sha256("client"),
                token_hash=sha256("dash"),
            ),
        ),
        servers=(
            ArchivedServer("ada", created_at=NOW - timedelta(days=9)),
            ArchivedServer(
                "bob",
                "work",
                "My work",
                "big",
                {"image": "x"},
                NOW - timedelta(days=8),
                NOW - timedelta(days=7),
            ),
        ),
        tokens=(
            ArchivedToken(
                OwnerKind.USER,
                "bob",
                sha256("bob's"),
                ("read:users:name!user=bob",),
                NOW - timedelta(days=5),
                "script",
                NOW + timedelta(days=5),
                NOW - timedelta(days=1),
                id="a-bob-there",
            ),
            ArchivedToken(OwnerKind.SERVICE, "dash", sha256("second"), ("inherit",), NOW, id="a-dash-there"),
        ),
        shares=(
            ArchivedShare("bob", "work", ("access:servers",), NOW - timedelta(days=4), user="ada"),
            ArchivedShare("bob", "work", ("access:servers",), NOW - timedelta(days=4), group="class"),
        ),
        share_codes=(
            ArchivedShareCode(
                "bob",
                "work",
                sha256("code"),
                ("access:servers",),
                NOW - timedelta(days=1),
                NOW + timedelta(days=1),
                2,
                NOW,
                id="sc_there",
            ),
        ),
        budgets=(
            ArchivedBudget("class", "class", servers=30, seconds=400 * 3600),
            ArchivedBudget("own", user="bob", is_monthly=False, cost_micros=9_000_000),
        ),
        schedules=(
            ArchivedSchedule("lab", "08:50:00", "10:30:00", "Europe/Berlin", ("class",), (0, 3), lead=600),
            ArchivedSchedule(
                "exam",
                "09:00:00",
                "11:00:00",
                "UTC",
                ("class", "empty"),
                on="2026-12-01",
                stops=False,
                is_paused=True,
            ),
        ),
    )


def with_user(archive, name, **facts):
    """Return *archive* in which the user has these facts."""
    users = tuple(replace(one, **facts) if one.name == name else one for one in archive.users)
    return replace(archive, users=users)


def records_of(archive):
    """Return all records but the name of the source, in an order that no store decides."""
    ordered = {}
    of_users = ("users", "sign_ups", "groups", "services", "servers", "tokens", "shares", "share_codes")
    for attribute in (*of_users, "budgets", "schedules"):
        ordered[attribute] = sorted(getattr(archive, attribute), key=repr)
    return ordered

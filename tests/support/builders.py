"""Objects for tests, with default facts that a test may override by name."""

import hashlib
from datetime import UTC, datetime, timedelta

from hubless.domain.external_identities import ExternalId, LinkedIdentity
from hubless.domain.imported_secrets import of_jupyterhub
from hubless.domain.lifecycle import Server
from hubless.domain.lti_courses import Course, group_name
from hubless.domain.lti_platforms import LtiPlatform
from hubless.domain.tokens import Client, Code, OwnerKind, Session, Token, sha256
from hubless.domain.users import User
from hubless.ports.pending_logins import PendingLogin

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def a_user(name="alice", **facts):
    return User(**{"id": f"u-{name}", "name": name, "created_at": NOW} | facts)


def a_server(name="", owner="alice", **facts):
    return Server(
        **{"id": f"s-{owner}-{name}", "owner_id": f"u-{owner}", "name": name, "created_at": NOW, "entered_at": NOW}
        | facts
    )


def a_token(secret="secret", owner="alice", **facts):
    standard = {
        "id": f"a-{secret}",
        "sha256": sha256(secret),
        "owner_kind": OwnerKind.USER,
        "owner_id": f"u-{owner}",
        "scopes": ("inherit",),
        "created_at": NOW,
    }
    return Token(**standard | facts)


def an_imported_hash(secret, rounds=1, salt="0011223344556677"):
    """Return the text under which a store keeps a secret that a JupyterHub has hashed."""
    digest = hashlib.sha512(salt.encode() + secret.encode() * rounds).hexdigest()
    return of_jupyterhub(f"sha512:{rounds}:{salt}:{digest}", secret[:4]).text


def a_session(secret="cookie", owner="alice", **facts):
    standard = {
        "id": f"session-{secret}",
        "sha256": sha256(secret),
        "user_id": f"u-{owner}",
        "created_at": NOW,
        "expires_at": NOW + timedelta(days=14),
    }
    return Session(**standard | facts)


def a_client(client_id="c1", **facts):
    standard = {
        "id": client_id,
        "secret_sha256": sha256("s"),
        "redirect_uri": "/user/alice/oauth_callback",
        "description": "Server at /user/alice/",
        "access_scopes": ("access:servers!server=alice/",),
        "server_id": "s-alice-",
        "launch_id": "l1",
        "owner_id": "u-alice",
    }
    return Client(**standard | facts)


def a_code(secret="code", **facts):
    standard = {
        "sha256": sha256(secret),
        "client_id": "c1",
        "user_id": "u-alice",
        "session_id": "session-cookie",
        "redirect_uri": "/user/alice/oauth_callback",
        "scopes": ("read:users:name!user",),
        "expires_at": NOW + timedelta(minutes=5),
    }
    return Code(**standard | facts)


def a_platform(name="moodle", **facts):
    standard = {
        "name": name,
        "issuer": f"https://{name}.example.org",
        "client_id": "the-hub",
        "authorization_url": f"https://{name}.example.org/auth",
        "token_url": f"https://{name}.example.org/token",
        "key_set_url": f"https://{name}.example.org/keys",
    }
    return LtiPlatform(**standard | facts)


def a_course(context_id="c-1", platform="moodle", **facts):
    issuer = f"https://{platform}.example.org"
    standard = {
        "issuer": issuer,
        "context_id": context_id,
        "platform": platform,
        "deployment_id": "1",
        "group": group_name(issuer, context_id, "BIO 101"),
        "title": "Biology",
        "seen_at": NOW,
    }
    return Course(**standard | facts)


def an_identity(subject="1001", owner="alice", **facts):
    standard = {
        "id": ExternalId("https://sso.example.org", subject),
        "user_id": f"u-{owner}",
        "provider": "campus",
        "label": f"{owner}@example.org",
        "linked_at": NOW,
    }
    return LinkedIdentity(**standard | facts)


def a_pending_login(state="state", **facts):
    standard = {
        "state_sha256": sha256(state),
        "browser_sha256": sha256("browser"),
        "provider": "campus",
        "created_at": NOW,
        "expires_at": NOW + timedelta(minutes=10),
    }
    return PendingLogin(**standard | facts)

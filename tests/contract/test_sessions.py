from datetime import timedelta

import pytest

from hubless.domain.errors import NotFoundError
from hubless.domain.tokens import OwnerKind
from hubless.domain.users import Group
from tests.support.builders import NOW, a_code, a_session, a_token
from tests.support.concurrency import MANY, concurrently

pytestmark = pytest.mark.usefixtures("alice", "bob")


def test_a_session_comes_back_with_its_user_and_groups(stores, alice):
    stores.groups.create(Group("g1", "staff", ("alice",)))
    session = a_session(agent="Firefox Ä", provider="sso", provider_session="s-1", address="192.0.2.7")
    stores.sessions.create(session)
    found, user = stores.sessions.find_with_user(session.sha256)
    assert found == session
    assert stores.sessions.of_user(alice.id) == [session]
    assert user == stores.users.get(alice.id)
    assert user.groups == ("staff",)


def test_a_missing_record_is_none(stores):
    assert stores.sessions.find_with_user("00") is None
    assert stores.sessions.of_user("u-alice") == []


def test_expired_sessions_are_returned(stores):
    session = a_session(expires_at=NOW - timedelta(days=1))
    stores.sessions.create(session)
    assert stores.sessions.find_with_user(session.sha256)[0] == session
    assert stores.sessions.of_user("u-alice") == [session]


def test_sessions_of_a_user_come_oldest_first(stores):
    for seconds, secret in enumerate("cab"):
        stores.sessions.create(a_session(secret, created_at=NOW + timedelta(seconds=seconds)))
    stores.sessions.create(a_session("bobs", "bob"))
    assert [s.id for s in stores.sessions.of_user("u-alice")] == ["session-c", "session-a", "session-b"]


def logged_in(stores, secret, owner="alice"):
    session = a_session(secret, owner)
    stores.sessions.create(session)
    stores.tokens.create(a_token(f"t-{secret}", owner, session_id=session.id))
    stores.clients.add_code(a_code(f"c-{secret}", session_id=session.id, user_id=f"u-{owner}"))


def remains(stores, secret):
    found = (
        stores.sessions.find_with_user(a_session(secret).sha256),
        stores.tokens.find(a_token(f"t-{secret}").sha256),
        stores.clients.find_code(a_code(f"c-{secret}").sha256),
    )
    return [thing is not None for thing in found]


def test_ending_a_session_removes_only_its_tokens_and_codes(stores):
    logged_in(stores, "one")
    logged_in(stores, "two")
    stores.tokens.create(a_token("plain"))
    stores.sessions.end("session-one")
    stores.sessions.end("session-one")
    assert remains(stores, "one") == [False] * 3
    assert remains(stores, "two") == [True] * 3
    assert stores.tokens.find(a_token("plain").sha256) is not None


def test_ending_all_sessions_affects_one_user_only(stores):
    logged_in(stores, "one")
    logged_in(stores, "two")
    logged_in(stores, "bobs", "bob")
    stores.tokens.create(a_token("plain"))
    stores.sessions.end_all("u-alice")
    assert remains(stores, "one") == remains(stores, "two") == [False] * 3
    assert remains(stores, "bobs") == [True] * 3
    assert stores.tokens.find(a_token("plain").sha256) is not None
    stores.sessions.end_all("u-nobody")


def test_the_oldest_sessions_of_a_user_end_with_their_tokens(stores):
    for number in range(4):
        logged_in(stores, f"s{number}")
    logged_in(stores, "bobs", "bob")
    stores.sessions.create(a_session("newest", created_at=NOW + timedelta(minutes=1)))
    stores.sessions.keep_newest("u-alice", 2)
    assert [session.id for session in stores.sessions.of_user("u-alice")] == ["session-s3", "session-newest"]
    assert [any(remains(stores, secret)) for secret in ("s0", "s1", "s2")] == [False] * 3
    assert all(remains(stores, "s3"))
    assert all(remains(stores, "bobs"))
    stores.sessions.keep_newest("u-alice", 2)
    assert len(stores.sessions.of_user("u-alice")) == 2


def test_expired_sessions_are_removed_up_to_a_limit(stores):
    for number in range(3):
        stores.sessions.create(a_session(f"old{number}", expires_at=NOW))
    stores.sessions.create(a_session("new", expires_at=NOW + timedelta(microseconds=1)))
    assert [stores.sessions.delete_expired(NOW, 2) for _ in range(3)] == [2, 1, 0]
    assert [s.id for s in stores.sessions.of_user("u-alice")] == ["session-new"]


def test_ending_a_session_concurrently_is_idempotent(stores):
    logged_in(stores, "one")
    assert concurrently(lambda _: stores.sessions.end("session-one")) == [None] * MANY
    assert remains(stores, "one") == [False] * 3


def test_an_ended_session_issues_nothing(stores):
    logged_in(stores, "one")
    stores.sessions.end("session-one")
    with pytest.raises(NotFoundError):
        stores.tokens.create(a_token("late", session_id="session-one"))
    with pytest.raises(NotFoundError):
        stores.clients.add_code(a_code("late", session_id="session-one"))
    assert stores.tokens.find(a_token("late").sha256) is None
    assert stores.clients.find_code(a_code("late").sha256) is None


def test_a_token_issued_during_the_end_does_not_survive(stores):
    for turn in range(15):
        session = a_session(f"turn{turn}")
        stores.sessions.create(session)

        def act(n, session=session):
            if n == 0:
                return stores.sessions.end(session.id)
            if n % 2:
                return stores.tokens.create(a_token(f"{session.id}-{n}", session_id=session.id))
            return stores.clients.add_code(a_code(f"{session.id}-{n}", session_id=session.id))

        outcomes = concurrently(act)
        assert all(outcome is None or isinstance(outcome, NotFoundError) for outcome in outcomes)
        assert [token.id for token in stores.tokens.of_owner(OwnerKind.USER, "u-alice")] == []
        assert [n for n in range(MANY) if stores.clients.find_code(a_code(f"{session.id}-{n}").sha256)] == []


def test_a_session_of_a_removed_user_is_refused(stores):
    with pytest.raises(NotFoundError):
        stores.sessions.create(a_session(owner="nobody"))

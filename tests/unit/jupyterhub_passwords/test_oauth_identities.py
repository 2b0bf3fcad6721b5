"""Identities at a provider, which the auth_state of OAuthenticator's users tells."""

import base64
import json
from datetime import timedelta

import pytest

from hubless.adapters.jupyterhub_passwords.oauth_identities import with_identities
from hubless.domain.archive import Archive, ArchivedUser
from hubless.domain.external_identities import AwaitedLogin, ExternalId
from tests.support.builders import NOW

ISSUER, GITHUB = "https://idp.example.org", "https://github.com"


def id_token(**claims):
    body = base64.urlsafe_b64encode(json.dumps({"iss": ISSUER, "sub": "s1"} | claims).encode()).rstrip(b"=").decode()
    return f"e30.{body}.c2ln"


def linked(*states, issuer=ISSUER, is_github=False):
    users = tuple(ArchivedUser(f"u{n}", auth_state=state) for n, state in enumerate(states))
    after = with_identities(Archive("a hub", users), "sso", issuer, is_github=is_github, now=NOW)
    return [[one.id for one in user.identities] for user in after.users], after.remarks


@pytest.mark.parametrize(
    "state",
    [
        {"id_token": id_token()},
        {"id_token": id_token(), "oauth_user": {"sub": "other"}},  # the token is the one that is signed
        {"oauth_user": {"sub": "s1", "preferred_username": "u0"}},
        {"id_token": None, "google_user": {"sub": "s1"}},
        {"id_token": "no token", "cilogon_user": {"sub": "s1"}},
    ],
)
def test_the_subject_is_that_of_the_token_or_of_userinfo(state):
    assert linked(state) == ([[ExternalId(ISSUER, "s1")]], ())


def test_github_users_are_known_by_their_number():
    state = {"github_user": {"id": 583231, "login": "octocat"}}
    assert linked(state, issuer=GITHUB, is_github=True) == ([[ExternalId(GITHUB, "583231")]], ())


@pytest.mark.parametrize(
    "state",
    [
        {"id_token": id_token(iss="https://other.example.org"), "oauth_user": {"sub": "s1"}},
        {"id_token": id_token(sub="")},
        {"id_token": id_token(sub=7)},
        {"id_token": id_token(sub="s" * 256)},
        {"oauth_user": {"sub": "s1"}, "user": {"sub": "s2"}},
    ],
)
def test_without_a_certain_subject_nothing_is_linked(state):
    identities, (remark,) = linked(state)
    assert identities == [[]]
    assert (remark.subject, remark.is_left_out) == ("u0", True)


def awaited(name="Ada", *, is_github=False, **facts):
    archive = Archive("a hub", (ArchivedUser(name, **facts),))
    after = with_identities(archive, "sso", ISSUER, is_github=is_github, now=NOW)
    return after.users[0].awaited, after.remarks


@pytest.mark.parametrize("state", [None, {}, {"access_token": "secret"}, {"oauth_user": "s1"}])
def test_whom_nothing_tells_awaits_a_first_login_by_name(state):
    found, (remark,) = awaited(auth_state=state)
    assert found == AwaitedLogin("sso", ISSUER, "ada", NOW + timedelta(days=180))
    assert (remark.is_left_out, "sso" in remark.what) == (False, True)
    assert "secret" not in f"{remark}"


@pytest.mark.parametrize("number", [None, "583231", True])
def test_a_github_user_without_a_number_awaits_a_login(number):
    found, _ = awaited(auth_state={"github_user": {"id": number}}, is_github=True)
    assert found is not None


@pytest.mark.parametrize(
    "facts",
    [
        {"admin": True},
        {"password_hash": "hash"},
        {"auth_state": {"id_token": id_token()}},
        {"auth_state": {"id_token": id_token(iss="https://other.example.org")}},
        {"auth_state": {"oauth_user": {"sub": "s1"}, "user": {"sub": "s2"}}},
    ],
)
def test_admins_and_who_is_known_or_has_a_password_await_nothing(facts):
    assert awaited(**facts)[0] is None


def test_one_identity_never_leads_to_two_users():
    identities, (remark,) = linked({"id_token": id_token()}, {"id_token": id_token()})
    assert identities == [[ExternalId(ISSUER, "s1")], []]
    assert (remark.subject, "u0" in remark.what) == ("u1", True)

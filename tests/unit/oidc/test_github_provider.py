"""Logins at GitHub: its errors have status 200, and the address in a profile may be anything."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.adapters.oidc.github_provider import GithubProvider
from hubless.domain.claims import ClaimRules
from hubless.domain.errors import LoginRefusedError, ProviderUnavailableError
from hubless.domain.providers import Protocol, Provider
from hubless.ports.login_providers import AuthorizationRequest
from tests.doubles.openid import SECRET, DoubleFetcher, GithubDouble
from tests.support.builders import NOW
from tests.support.fakes import StoppedClock

REQUEST = AuthorizationRequest("https://hub.test/hub/oauth_callback", "state", "nonce", "v" * 43)
GITHUB = Provider(
    *("github", "GitHub", Protocol.GITHUB, "https://github.com", "hub", SECRET),
    scopes=("read:user", "user:email"),
    rules=ClaimRules(username_claim="login"),
)


@pytest.fixture
def double():
    return GithubDouble(StoppedClock(NOW))


def of(double, **facts):
    return GithubProvider(replace(GITHUB, **facts), DoubleFetcher(double), double.clock)


def log_in(double, **facts):
    provider = of(double, **facts)
    return provider.complete(REQUEST, double.browse(provider.authorization_url(REQUEST)))


def test_a_person_comes_home_with_the_number_that_never_changes(double):
    found = log_in(double)
    assert (found.issuer, found.subject, found.name) == ("https://github.com", "17", "Ada")
    assert double.asked["code_challenge_method"] == "S256"
    assert "nonce" not in double.asked


def test_the_address_is_the_primary_one_that_github_verified(double):
    email = ClaimRules(username_claim="email")
    assert log_in(double, rules=email).name == "ada@example.org"
    double.emails = [{"email": "ada@example.org", "primary": True, "verified": False}]
    with pytest.raises(LoginRefusedError, match="'email'"):
        log_in(double, rules=email)
    with pytest.raises(LoginRefusedError, match="'email'"):
        log_in(double, rules=email, scopes=("read:user",))


def test_an_error_with_status_200_is_a_refusal_without_its_words(double):
    double.refusal = "bad_verification_code"
    with pytest.raises(LoginRefusedError) as refused:
        log_in(double)
    assert "(bad_verification_code)" in str(refused.value)
    assert "secret words" not in str(refused.value)


def test_only_people_of_the_organisation_or_team_come_in(double):
    with pytest.raises(LoginRefusedError, match="not in an organisation or team"):
        log_in(double, organizations=("org", "org:team"))
    double.organizations = [{"login": "Org"}]
    assert log_in(double, organizations=("org",)).name == "Ada"
    with pytest.raises(LoginRefusedError):
        log_in(double, organizations=("org:team",))
    double.teams = [{"slug": "team", "organization": {"login": "Org"}}]
    assert log_in(double, organizations=("org:team",)).name == "Ada"


def test_teams_become_groups_and_rights(double):
    double.teams = [{"slug": f"team-{n}", "organization": {"login": "Org"}} for n in range(130)]
    rules = ClaimRules(username_claim="login", groups_claim="teams", admin_expression="contains(teams, 'Org:team-129')")
    found = log_in(double, rules=rules)
    assert len(found.groups) == 130
    assert found.admin is True


def test_more_teams_than_are_read_are_refused_and_not_cut(double):
    double.teams = [{"slug": f"team-{n}", "organization": {"login": "Org"}} for n in range(1000)]
    with pytest.raises(LoginRefusedError, match="reads no more"):
        log_in(double, organizations=("org",))


@pytest.mark.parametrize("user", [[], {}, {"id": True}, {"id": "17"}, {"login": "ada"}])
def test_an_answer_without_a_number_is_an_outage(double, user):
    double.user = user
    with pytest.raises(ProviderUnavailableError):
        log_in(double)


def test_an_own_server_is_asked_at_its_own_api(double):
    log_in(double, issuer="https://github.example.org")
    assert ("GET", "https://github.example.org/api/v3/user") in double.requests
    assert all(url.startswith("https://github.example.org/") for _, url in double.requests)


def test_a_refresh_asks_again_with_the_token(double):
    state = log_in(double).auth_state
    double.user = {"id": 17, "login": "renamed"}
    assert of(double).refresh("17", state).name == "renamed"
    with pytest.raises(LoginRefusedError, match="another person"):
        of(double).refresh("18", state)
    double.api_status = 401
    with pytest.raises(LoginRefusedError, match="no longer accepts"):
        of(double).refresh("17", state)
    double.api_status = 502
    with pytest.raises(ProviderUnavailableError, match="502"):
        of(double).refresh("17", state)
    assert of(double).refresh("17", {}) is None


def test_check_reaches_it_and_compares_clocks(double):
    assert of(double).check().faults == ()
    double.skew = timedelta(minutes=2)
    assert "120 seconds ahead" in of(double).check().faults[0]

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from joserfc.jwk import ECKey

from hubless.adapters.jose.fetching import Answer, FetchError
from hubless.adapters.jose.key_sets import PEM_FETCHES, GivenKeys, PemKeys
from hubless.adapters.login_proxies.signed_assertions import SignedAssertionVerifier
from hubless.domain.claims import ClaimRules
from hubless.domain.errors import LoginRefusedError, ProviderUnavailableError
from hubless.domain.login_proxies import LoginProxy, ProxyKind
from tests.doubles.signers import ec_key, key_set, rsa_key, signed, signed_padded
from tests.support.fakes import StoppedClock

NOW = datetime(2026, 11, 28, 3, tzinfo=UTC)
AT = int(NOW.timestamp())
ARN = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/hub/50dc6c495c0c9188"
IDP = "https://idp.example.org"
KEY_URL = "https://public-keys.auth.elb.eu-central-1.amazonaws.com"
RULES = ClaimRules(username_claim="email", trusts_email=True)
ALB = LoginProxy(
    "alb",
    ProxyKind.ALB,
    "x-amzn-oidc-data",
    "https://idp.example.org/logout",
    rules=RULES,
    audience="client-1",
    signer=ARN,
    keys_url=KEY_URL,
)
HEADER = {"signer": ARN, "client": "client-1", "iss": IDP, "exp": AT + 120, "typ": "JWT"}
PERSON = {"sub": "1234-abcd", "email": "ada@example.org", "username": "ada", "exp": AT + 120, "iss": IDP}
CLOUDFLARE = LoginProxy(
    "cf",
    ProxyKind.CLOUDFLARE,
    "cf-access-jwt-assertion",
    "/cdn-cgi/access/logout",
    rules=RULES,
    issuer="https://example.cloudflareaccess.com",
    audience="tag-1",
)
ACCESS = {
    "aud": ["tag-1"],
    "email": "ada@example.org",
    "exp": AT + 600,
    "iat": AT,
    "nbf": AT,
    "iss": "https://example.cloudflareaccess.com",
    "type": "app",
    "identity_nonce": "x",
    "sub": "7335d417",
    "country": "AT",
}
IAP = LoginProxy(
    "iap",
    ProxyKind.IAP,
    "x-goog-iap-jwt-assertion",
    "/",
    rules=RULES,
    issuer="https://cloud.google.com/iap",
    audience="/projects/7/global/backendServices/8",
)
GOOGLE = {
    "aud": "/projects/7/global/backendServices/8",
    "email": "ada@example.org",
    "exp": AT + 600,
    "iat": AT,
    "iss": "https://cloud.google.com/iap",
    "sub": "accounts.google.com:118133858486581853996",
}


class Published:
    """Answers as the endpoint of load balancers' keys does."""

    def __init__(self, *keys: ECKey) -> None:
        self.keys = {key.kid: key.as_pem(private=False) for key in keys}
        self.asked: list[str] = []

    def request(self, method, url):
        self.asked.append(url)
        body = self.keys.get(url.rpartition("/")[2])
        if isinstance(body, Exception):
            raise body
        return Answer(403, {}, b"") if body is None else Answer(200, {}, body)


def alb(assertion, *, proxy=ALB, fetcher=None):
    keys = PemKeys(proxy.keys_url, fetcher or Published(ec_key()), StoppedClock(NOW))
    return SignedAssertionVerifier(proxy, keys, StoppedClock(NOW)).verify(assertion, "")


def verified(proxy, assertion):
    keys = GivenKeys(key_set(ec_key(), rsa_key()))
    return SignedAssertionVerifier(proxy, keys, StoppedClock(NOW)).verify(assertion, "")


def test_a_load_balancer_names_a_person():
    fetcher = Published(ec_key())
    identity = alb(signed_padded(PERSON, ec_key(), **HEADER), fetcher=fetcher)

    assert (identity.external.issuer, identity.external.subject) == (IDP, "1234-abcd")
    assert (identity.name, identity.label, identity.provider) == ("ada@example.org", "ada@example.org", "alb")
    assert identity.groups is identity.admin is None
    assert fetcher.asked == [f"{KEY_URL}/ec-1"]


def test_an_address_that_nobody_verified_is_no_name():
    proxy = replace(ALB, rules=replace(RULES, trusts_email=False))

    with pytest.raises(LoginRefusedError, match="verified"):
        alb(signed_padded(PERSON, ec_key(), **HEADER), proxy=proxy)
    assert alb(signed_padded({**PERSON, "email_verified": "true"}, ec_key(), **HEADER), proxy=proxy)


@pytest.mark.parametrize(
    ("header", "person", "words"),
    [
        ({"signer": ARN.replace("9188", "9189")}, {}, "Another load balancer"),
        ({"signer": None}, {}, "Another load balancer"),
        ({"client": "client-2"}, {}, "another client"),
        ({"exp": AT - 60}, {}, "expired"),
        ({"exp": None}, {}, "expired"),
        ({"exp": "tomorrow"}, {}, "expired"),
        ({"iss": None}, {}, "another issuer"),
        ({}, {"exp": AT - 60}, "expired"),
        ({}, {"sub": None}, "lacks sub"),
        ({}, {"sub": 7}, "subject"),
        ({}, {"sub": "x" * 2000}, "subject"),
        ({}, {"email": None}, "gave no text as 'email'"),
        ({"alg": "none"}, {}, "not accepted"),
        ({"alg": "HS256"}, {}, "not accepted"),
    ],
)
def test_a_load_balancers_wrong_word_is_refused(header, person, words):
    with pytest.raises(LoginRefusedError, match=words):
        alb(signed_padded({**PERSON, **person}, ec_key(), **{**HEADER, **header}))


def test_an_issuer_that_settings_name_must_be_the_one():
    assertion = signed_padded(PERSON, ec_key(), **HEADER)

    assert alb(assertion, proxy=replace(ALB, issuer=IDP))
    with pytest.raises(LoginRefusedError, match="another issuer"):
        alb(assertion, proxy=replace(ALB, issuer="https://other.example.org"))


def test_a_forged_word_of_a_load_balancer_is_refused():
    with pytest.raises(LoginRefusedError, match="signature"):
        alb(signed_padded(PERSON, ECKey.generate_key("P-256", {"kid": "ec-1"}), **HEADER))
    with pytest.raises(LoginRefusedError, match="does not publish"):
        alb(signed_padded(PERSON, ec_key("made-up"), **HEADER))


@pytest.mark.parametrize("kid", ["../../other", "a/b", "", "x" * 65, "https://example.org", None])
def test_a_keys_name_leads_nowhere_else(kid):
    fetcher = Published()
    with pytest.raises(LoginRefusedError):
        alb(signed_padded(PERSON, ec_key(), **{**HEADER, "kid": kid}), fetcher=fetcher)
    assert fetcher.asked == []


def test_a_load_balancers_keys_are_kept_for_a_day():
    clock, fetcher = StoppedClock(NOW), Published(ec_key())
    keys = PemKeys(KEY_URL, fetcher, clock)

    for _ in range(3):
        assert [key.kid for key in keys.find("ec-1")] == ["ec-1"]
    assert len(fetcher.asked) == 1
    clock.advance(timedelta(days=1))
    assert keys.find("ec-1")
    assert len(fetcher.asked) == 2


def test_a_flood_of_names_of_keys_is_a_few_requests():
    clock, fetcher = StoppedClock(NOW), Published(ec_key())
    keys = PemKeys(KEY_URL, fetcher, clock)
    keys.find("ec-1")

    for number in range(100):
        assert keys.find(f"made-up-{number}") == ()

    assert len(fetcher.asked) == PEM_FETCHES
    assert keys.find("ec-1")


@pytest.mark.parametrize("body", [FetchError("down"), b"<html>", b""])
def test_keys_that_are_not_there_are_no_refusal(body):
    fetcher = Published()
    fetcher.keys["ec-1"] = body

    with pytest.raises(ProviderUnavailableError):
        alb(signed_padded(PERSON, ec_key(), **HEADER), fetcher=fetcher)


def test_cloudflare_and_google_name_a_person():
    person = verified(CLOUDFLARE, signed(ACCESS))
    assert (person.external.issuer, person.external.subject) == ("https://example.cloudflareaccess.com", "7335d417")
    assert person.name == "ada@example.org"

    person = verified(IAP, signed(GOOGLE, ec_key(), "ES256"))
    assert person.external.subject == "accounts.google.com:118133858486581853996"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"aud": ["tag-2"]}, "audience"),
        ({"aud": []}, "lacks aud"),
        ({"iss": "https://other.cloudflareaccess.com"}, "issuer"),
        ({"exp": AT - 60}, "expired"),
        ({"nbf": AT + 61}, "not valid yet"),
        ({"sub": ""}, "lacks sub"),  # Cloudflare's service tokens, which are nobody
    ],
)
def test_a_wrong_word_of_cloudflare_is_refused(change, words):
    with pytest.raises(LoginRefusedError, match=words):
        verified(CLOUDFLARE, signed({**ACCESS, **change}))


def test_a_proxy_signs_with_its_own_algorithm_only():
    with pytest.raises(LoginRefusedError, match="not accepted"):
        verified(CLOUDFLARE, signed(ACCESS, ec_key(), "ES256"))
    with pytest.raises(LoginRefusedError, match="not accepted"):
        verified(IAP, signed(GOOGLE))


def test_claims_give_groups_and_rights():
    rules = ClaimRules(
        username_claim="nickname", groups_claim="roles", admin_expression="contains(roles, 'admins') || `false`"
    )
    proxy = replace(CLOUDFLARE, kind=ProxyKind.JWT, rules=rules, match_existing=True)
    identity = verified(proxy, signed({**ACCESS, "nickname": "ada", "roles": ["admins", "class"]}, ec_key(), "ES256"))

    assert (identity.name, identity.groups, identity.admin) == ("ada", ("admins", "class"), True)
    assert identity.match_existing


def test_a_person_of_another_domain_is_refused():
    proxy = replace(CLOUDFLARE, rules=replace(RULES, domains=("example.com",)))

    with pytest.raises(LoginRefusedError, match=r"verified address at example\.com"):
        verified(proxy, signed(ACCESS))

"""`[[login_proxies]]`: proxies that settings may describe, and what is wrong with others."""

import json
from pathlib import Path

import pytest

from hubless.adapters.jose.key_sets import FetchedKeys, GivenKeys, PemKeys
from hubless.bootstrap.login_proxies import verifiers_of
from hubless.domain.login_proxies import LoginProxy, ProxyKind
from hubless.settings import Settings, SettingsError, parse
from hubless.settings.cloud import check_for_deployment
from tests.doubles.signers import key_set, rsa_key

KEYS = json.dumps(key_set(rsa_key()))
ARN = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/hub/50dc6c495c0c9188"
ALB = {"kind": "alb", "load_balancer": ARN, "client_id": "c", "logout_url": "https://idp.example.org/out"}
CLOUDFLARE = {"kind": "cloudflare", "team": "example", "audience": "tag"}
IAP = {"kind": "iap", "audience": "/projects/7/apps/hub"}
JWT = {
    "kind": "jwt",
    "header": "X-Auth-Request-Jwt",
    "issuer": "https://gate.example.org",
    "audience": "hub",
    "keys_url": "https://gate.example.org/keys",
    "logout_url": "/out",
}
NAMED = {
    "kind": "header",
    "header": "X-Remote-User",
    "secret_header": "X-Remote-Secret",
    "secret_env": "SSO_SECRET",
    "logout_url": "/out",
}
TRUSTED = '[hub]\ntrusted_proxies = ["192.0.2.0/24"]\n'


def text_of(*entries: dict) -> str:
    return "".join(
        "[[login_proxies]]\n" + "".join(f"{key} = {json.dumps(given)}\n" for key, given in entry.items())
        for entry in ({"name": f"p{number}"} | entry for number, entry in enumerate(entries))
    )


def read(*entries: dict, secret: str = "a secret of some length", more: str = "") -> Settings:
    return parse(more + text_of(*entries), Path("/srv/hub"), {"SSO_SECRET": secret})


def proxy(entry: dict, **more: str) -> LoginProxy:
    (found,) = read(entry, **more).login_proxies
    return found


def complaint(entry: dict, *, more: str = TRUSTED, secret: str = "a secret of some length", **change: object) -> str:
    given = {key: value for key, value in {**entry, **change}.items() if value is not None}
    with pytest.raises(SettingsError) as caught:
        read(given, more=more, secret=secret)
    return str(caught.value).removeprefix("hubless.toml: ")


@pytest.mark.parametrize(
    ("arn", "url"),
    [
        (ARN, "https://public-keys.auth.elb.eu-central-1.amazonaws.com"),
        (
            ARN.replace("arn:aws:", "arn:aws-us-gov:").replace("eu-central-1", "us-gov-west-1"),
            "https://s3-us-gov-west-1.amazonaws.com/aws-elb-public-keys-prod-us-gov-west-1",
        ),
        (
            ARN.replace("arn:aws:", "arn:aws-cn:").replace("eu-central-1", "cn-north-1"),
            "https://public-keys.auth.elb.cn-north-1.amazonaws.com.cn",
        ),
    ],
)
def test_a_load_balancers_keys_are_those_of_its_region(arn: str, url: str) -> None:
    found = proxy({**ALB, "load_balancer": arn})

    assert (found.keys_url, found.signer, found.audience, found.header) == (url, arn, "c", "x-amzn-oidc-data")


def test_what_is_known_of_cloudflare_and_google_need_not_be_said() -> None:
    cloudflare, google = read(CLOUDFLARE, IAP).login_proxies

    assert cloudflare.issuer == "https://example.cloudflareaccess.com"
    assert cloudflare.keys_url == "https://example.cloudflareaccess.com/cdn-cgi/access/certs"
    assert cloudflare.logout_url == "/cdn-cgi/access/logout"
    assert google.issuer == "https://cloud.google.com/iap"
    assert google.header == "x-goog-iap-jwt-assertion"
    assert cloudflare.rules.trusts_email
    assert google.rules.trusts_email


def test_headers_are_compared_in_lower_case() -> None:
    found = proxy(NAMED, more=TRUSTED)

    assert found.headers == ("x-remote-user", "x-remote-secret")
    assert found.secret == "a secret of some length"
    assert found.secret not in repr(found)


@pytest.mark.parametrize(
    ("entry", "change", "words"),
    [
        (ALB, {"load_balancer": None}, "load_balancer is missing"),
        (ALB, {"load_balancer": ARN.replace("/app/", "/net/")}, "must be the ARN of an ALB"),
        (ALB, {"client_id": None}, "client_id is missing"),
        (ALB, {"logout_url": None}, "logout_url is missing"),
        (ALB, {"team": "x"}, "team has no effect"),
        (CLOUDFLARE, {"team": "a.b"}, "team is"),
        (CLOUDFLARE, {"team": "evil.example.org/"}, "team is"),
        (CLOUDFLARE, {"audience": None}, "audience is missing"),
        (CLOUDFLARE, {"header": "X-Other"}, "header has no effect"),
        (IAP, {"keys_url": "https://x.example.org"}, "keys_url has no effect"),
        (JWT, {"keys": KEYS}, "needs either"),
        (JWT, {"keys_url": None}, "needs either"),
        (JWT, {"keys_url": "http://gate.example.org/keys"}, "must start with https://"),
        (JWT, {"header": "Authorization"}, "a header that means nothing else"),
        (JWT, {"header": "Cookie"}, "a header that means nothing else"),
        (JWT, {"header": "X-Forwarded-For"}, "a header that means nothing else"),
        (JWT, {"header": "X-Hubless-Address"}, "a header that means nothing else"),
        (JWT, {"header": "X Y"}, "a header that means nothing else"),
        (JWT, {"logout_url": "//evil.example.org"}, "or a path"),
        (JWT, {"logout_url": "javascript:alert(1)"}, "or a path"),
        (JWT, {"logout_url": "/a\nb"}, "or a path"),
        (JWT, {"secret_env": "X"}, "secret_env has no effect"),
        (JWT, {"username_claim": "a["}, "username_claim is"),
        (JWT, {"username_template": "x"}, "username_template is"),
        (JWT, {"name": "Gate"}, "name must be"),
        (JWT, {"kind": "saml"}, "kind is"),
        (NAMED, {"secret_header": None}, "secret_header is missing"),
        (NAMED, {"secret_env": None}, "secret_env is missing"),
        (NAMED, {"secret_env": "OTHER"}, "OTHER, which is not in the environment"),
        (NAMED, {"groups_claim": "groups"}, "groups_claim has no effect"),
        (NAMED, {"secret": "short"}, "at least 16"),
        (NAMED, {"more": ""}, "needs hub.trusted_proxies"),
    ],
)
def test_a_wrong_proxy_stops_the_start_and_says_why(entry: dict, change: dict, words: str) -> None:
    assert words in complaint(entry, **change)


def test_two_proxies_do_not_speak_in_one_header() -> None:
    with pytest.raises(SettingsError, match="x-auth-request-jwt is used twice"):
        read(JWT, JWT)
    with pytest.raises(SettingsError, match="x-remote-user is used twice"):
        read({**NAMED, "secret_header": "X-Remote-User"}, more=TRUSTED)


def test_a_proxy_has_no_name_of_a_provider() -> None:
    provider = '[[providers]]\nname = "p0"\nkind = "google"\nclient_id = "c"\nclient_secret = "s"\n'

    with pytest.raises(SettingsError, match="choose another"):
        read(JWT, more=provider)


def test_keys_come_from_where_each_kind_has_them() -> None:
    settings = read(ALB, CLOUDFLARE, IAP, {**JWT, "keys": KEYS, "keys_url": ""}, NAMED, more=TRUSTED)
    verifiers = verifiers_of(settings, clock=None)

    assert [one.proxy.kind for one in verifiers] == list(ProxyKind)
    assert [type(one._keys) for one in verifiers[:4]] == [PemKeys, FetchedKeys, FetchedKeys, GivenKeys]


def test_a_useless_key_set_is_said() -> None:
    with pytest.raises(SettingsError, match="of no use"):
        verifiers_of(read({**JWT, "keys": '{"keys": []}', "keys_url": ""}), clock=None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TRUSTED + text_of(NAMED), "a bare name counts on one machine only"),
        (text_of({**JWT, "header": "X-Gate"}), 'in AWS it must begin with "x-auth-request-"'),
        (text_of(ALB, CLOUDFLARE, IAP, JWT), ""),
    ],
)
def test_a_deployment_takes_what_its_edges_know(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "hubless.toml"
    file.write_text(text)

    if words:
        with pytest.raises(SettingsError, match=words):
            check_for_deployment(file)
    else:
        assert len(check_for_deployment(file).login_proxies) == 4

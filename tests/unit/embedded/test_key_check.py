"""`hubless check` fetches keys before anybody logs in with them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from embedded.key_check import KeyCheckError, check_keys
from hubless.adapters.jose.fetching import FetchError
from hubless.settings import Settings, SettingsError, parse
from tests.doubles.signers import FakeFetcher, key_set, rsa_key
from tests.support.fakes import StoppedClock

CLOCK = StoppedClock(datetime(2026, 11, 28, tzinfo=UTC))
ISSUER = "https://ci.example.org"
METADATA = f"{ISSUER}/.well-known/openid-configuration"
CERTS = "https://example.cloudflareaccess.com/cdn-cgi/access/certs"
GOOD = {METADATA: {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}, f"{ISSUER}/keys": key_set(rsa_key())}
GOOD[CERTS] = key_set(rsa_key())
TEXT = f"""
[[login_proxies]]
name = "access"
kind = "cloudflare"
team = "example"
audience = "tag"

[[workloads]]
name = "jobs"
kind = "oidc"
issuer = "{ISSUER}"
conditions = {{ sub = "job" }}
user = "ada"
scopes = ["self"]
"""


def settings(more: str = "") -> Settings:
    return parse(TEXT + more, Path("/srv/hub"), {})


def test_keys_that_are_there_pass() -> None:
    fetcher = FakeFetcher(GOOD)

    check_keys(settings(), CLOCK, fetcher)

    assert fetcher.asked == [CERTS, METADATA, f"{ISSUER}/keys"]


def test_all_that_is_missing_is_named() -> None:
    answers = {**GOOD, CERTS: {"keys": []}, METADATA: FetchError("ci.example.org gave no answer.")}

    with pytest.raises(KeyCheckError) as failed:
        check_keys(settings(), CLOCK, FakeFetcher(answers))

    assert "login_proxies.access: The key set of example.cloudflareaccess.com is of no use" in str(failed.value)
    assert "workloads of https://ci.example.org: ci.example.org gave no answer." in str(failed.value)


def test_metadata_of_another_issuer_are_named() -> None:
    answers = {**GOOD, METADATA: {"issuer": f"{ISSUER}/", "jwks_uri": f"{ISSUER}/keys"}}

    with pytest.raises(KeyCheckError, match="of another issuer"):
        check_keys(settings(), CLOCK, FakeFetcher(answers))


def test_a_key_set_in_settings_is_checked_too() -> None:
    jwt = {
        "header": "X-Gate",
        "issuer": "https://g.example.org",
        "audience": "hub",
        "keys": '{"keys": []}',
        "logout_url": "/out",
    }
    more = '[[login_proxies]]\nname = "gate"\nkind = "jwt"\n'
    more += "".join(f"{key} = {json.dumps(given)}\n" for key, given in jwt.items())

    with pytest.raises(SettingsError, match="of no use"):
        check_keys(settings(more), CLOCK, FakeFetcher(GOOD))

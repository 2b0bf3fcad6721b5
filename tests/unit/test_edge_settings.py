"""Settings of an edge in environment variables: typed, frozen, and each error names its variable."""

import re
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from edge_proxy.cloud_config import edge_configuration
from edge_proxy.haproxy_config import HttpsOrigin, render
from hubless.settings.edge import EdgeSettings, variable
from hubless.settings.types import SettingsError

LEAST = {"HUBLESS_EDGE_TABLE": "hub", "HUBLESS_EDGE_REGION": "eu-central-1"}
API = {"api": "https://api.example.org"}
DOCUMENT = Path(__file__).parents[2] / "docs" / "edge.md"


def settings(**given):
    return EdgeSettings.from_environment(LEAST | {f"HUBLESS_EDGE_{name.upper()}": text for name, text in given.items()})


def test_two_variables_are_enough():
    found = settings()
    assert (found.table, found.region, found.api, found.host_header) == ("hub", "eu-central-1", "", "")
    assert (found.poll_seconds, found.heartbeat_seconds, found.drain_seconds) == (1.0, 5.0, 30.0)
    assert (found.port, found.health_path, found.trusted_proxies) == (8080, "/edge/health", ())
    with pytest.raises(FrozenInstanceError):
        found.table = "other"


def test_the_default_region_is_aws_region():
    given = {name: text for name, text in LEAST.items() if not name.endswith("REGION")}
    assert EdgeSettings.from_environment(given | {"AWS_REGION": "us-east-1"}).region == "us-east-1"
    assert EdgeSettings.from_environment(LEAST | {"AWS_REGION": "us-east-1"}).region == "eu-central-1"


@pytest.mark.parametrize("name", LEAST)
def test_a_missing_or_empty_variable_is_named(name):
    for given in ({n: t for n, t in LEAST.items() if n != name}, LEAST | {name: ""}):
        with pytest.raises(SettingsError, match=f"{name} is missing"):
            EdgeSettings.from_environment(given)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("port", "http"),
        ("port", "0"),
        ("port", "70000"),
        ("poll_seconds", "0"),
        ("poll_seconds", "often"),
        ("poll_seconds", "nan"),
        ("poll_seconds", "5"),
        ("heartbeat_seconds", "9"),
        ("drain_seconds", "-1"),
        ("websocket_timeout_seconds", "59"),
        ("websocket_timeout_seconds", "2073601"),
        ("websocket_timeout_seconds", "1.5"),
        ("websocket_timeout_seconds", "48h"),
        ("trusted_proxies", "10.0.0.0/8,nobody"),
        ("api", "http://api.example.org"),
        ("api", "https://api.example.org/prod"),
        ("api", "https://a b"),
        ("api", "api.example.org"),
        ("api_name", "a b"),
        ("api_name", "x\n server evil"),
        ("health_path", "edge"),
        ("domain", "10.0.0.1"),
        ("domain", "hub.example.org:8443"),
        ("domain", "a b"),
        ("health_path", "/a } b"),
        ("endpoint", "here"),
        ("host_header", "x host"),
        ("host_header", "x)\n"),
    ],
)
def test_a_wrong_variable_is_named_with_the_allowed_values(name, text):
    with pytest.raises(SettingsError, match=rf"(?s)HUBLESS_EDGE_{name.upper()} is .*, but it must be "):
        settings(**{name: text})


def test_an_unknown_variable_is_named():
    with pytest.raises(SettingsError, match="There is no setting HUBLESS_EDGE_POLL"):
        settings(poll="1")


def test_lists_are_separated_by_commas():
    assert settings(trusted_proxies="10.0.0.0/8, 192.0.2.1").trusted_proxies == ("10.0.0.0/8", "192.0.2.1/32")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        (API, HttpsOrigin("api.example.org", 443, "api.example.org")),
        (
            {"api": "https://vpce.example.org:8443", "api_name": "api.example.org", "api_ca": "/ca.pem"},
            HttpsOrigin("vpce.example.org", 8443, "api.example.org", "/ca.pem"),
        ),
    ],
)
def test_the_api_is_asked_by_its_name(given, expected):
    assert edge_configuration(settings(**given)).api == expected


@pytest.mark.parametrize(
    "given",
    [
        {"host_header": "x-hubless-host", "trusted_proxies": "10.0.0.0/8"},
        {"api_name": "api.example.org"},
        {"api_ca": "/ca.pem"},
        {"direct": "true"},
        {"direct": "true", "domain": "hub.example.org", "host_header": "x-hubless-host"},
        {"direct": "true", "domain": "hub.example.org", "trusted_proxies": "10.0.0.0/8"},
        {"direct": "true", "domain": "hub.example.org"} | API,
    ],
)
def test_variables_that_exclude_each_other_are_named(given):
    with pytest.raises(SettingsError, match=" and "):
        settings(**given)


@pytest.mark.parametrize(("given", "seconds"), [({}, 172_800), ({"websocket_timeout_seconds": "60"}, 60)])
def test_the_websocket_timeout_reaches_haproxy(given, seconds):
    assert f"    timeout tunnel {seconds}s\n" in render(edge_configuration(settings(**given)))


def test_the_host_header_reaches_haproxy():
    assert edge_configuration(settings(host_header="x-hubless-host")).host_header == "x-hubless-host"


def test_a_direct_edge_listens_for_its_load_balancer():
    found = edge_configuration(settings(direct="true", domain="hub.example.org"))

    assert (found.is_direct, found.hub_origin, found.bind) == (True, "https://hub.example.org", "*:8080 accept-proxy")
    assert not edge_configuration(settings(domain="hub.example.org")).hub_origin


def test_every_variable_is_documented():
    documented = re.findall(r"^\| `(HUBLESS_EDGE_[A-Z_]+)` \| `?([^|`]*)`? \|", DOCUMENT.read_text(), re.MULTILINE)
    defaults = {variable(field.name): field.metadata["default"] for field in fields(EdgeSettings)}
    assert dict(documented) == {name: "required" if default is None else default for name, default in defaults.items()}

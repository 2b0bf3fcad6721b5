"""The edge on one machine gets HAProxy's facts from the settings."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge_proxy.errors import EdgeError
from edge_proxy.haproxy_config import render
from embedded import edge
from embedded.edge import edge_configuration, report_seconds
from embedded.ipc import Channel, ChildConfig

DEFAULT_PORT, OWN_PORT = 8000, 9000


def a_child_config(settings_text: str) -> ChildConfig:
    return ChildConfig(
        data="/srv/hub",
        settings_text=settings_text,
        settings_source="hubless.toml",
        host="127.0.0.1",
        port=OWN_PORT,
        workers=1,
        stop_on_exit=False,
        run_folder="/srv/hub/run",
    )


@pytest.mark.parametrize(("text", "seconds"), [("", 172_800), ('hub.websocket_timeout = "1h30m"', 5_400)])
def test_the_websocket_timeout_reaches_haproxy(text: str, seconds: int) -> None:
    config = a_child_config(text)

    assert f"    timeout tunnel {seconds}s\n" in render(edge_configuration(config.settings(), Path(config.run_folder)))


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 30), ('culling.idle_after = "1h"', 30), ('culling.idle_after = "60s"', 20)]
)
def test_activity_is_reported_as_often_as_the_idle_limit_needs(text: str, seconds: int) -> None:
    assert report_seconds(a_child_config(text).settings()) == seconds


def test_the_command_line_and_the_run_folder_reach_haproxy() -> None:
    config = a_child_config(f"hub.port = {DEFAULT_PORT}")

    rendered = render(edge_configuration(config.settings(), Path(config.run_folder)))

    assert f"bind 127.0.0.1:{OWN_PORT}\n" in rendered
    assert "server api unix@/srv/hub/run/api.sock" in rendered


def test_the_headers_of_login_proxies_reach_haproxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSO_SECRET", "a secret of some length")
    text = """
[hub]
trusted_proxies = ["192.0.2.7/32"]

[[login_proxies]]
name = "sso"
kind = "header"
header = "X-Remote-User"
secret_header = "X-Remote-Secret"
secret_env = "SSO_SECRET"
logout_url = "/out"

[[login_proxies]]
name = "gate"
kind = "jwt"
header = "X-Gate"
issuer = "https://gate.example.org"
audience = "hub"
keys_url = "https://gate.example.org/keys"
logout_url = "/out"
"""
    config = a_child_config(text)
    edge = edge_configuration(config.settings(), Path(config.run_folder))

    assert edge.login_headers == ("x-remote-user", "x-remote-secret", "x-gate")
    assert edge.unsigned_headers == ("x-remote-user", "x-remote-secret")
    assert "    http-request del-header ^(x[-_]remote[-_]user|x[-_]remote[-_]secret)$ -m reg if !trusted\n" in render(
        edge
    )


class Line(Channel):
    """A channel to a supervisor that has ended; it keeps what was sent."""

    def __init__(self) -> None:
        self.sent = list[str]()

    def send_event(self, event: str, **_: object) -> None:
        self.sent.append(event)

    def receive(self) -> None:
        return None


class BrokenAgent:
    """An agent whose HAProxy does not start."""

    runs = 0

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def start(self) -> None:
        raise EdgeError("the port is taken")

    def run(self, _stop: object) -> None:
        BrokenAgent.runs += 1


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ChildConfig:
    monkeypatch.setattr(edge, "Agent", BrokenAgent)
    monkeypatch.setattr(edge, "on_signals", lambda *_: None)
    monkeypatch.setattr(edge.signal, "signal", lambda *_: None)
    monkeypatch.setattr(BrokenAgent, "runs", 0)
    return replace(a_child_config(""), data=str(tmp_path), run_folder=str(tmp_path))


def test_the_first_start_fails_with_haproxys_reason(broken: ChildConfig) -> None:
    with pytest.raises(EdgeError, match="the port is taken"):
        edge.run(Line(), replace(broken, first=True), broken.settings())


def test_in_a_hub_that_runs_the_edge_tries_again(broken: ChildConfig) -> None:
    channel = Line()
    edge.run(channel, broken, broken.settings())
    assert BrokenAgent.runs == 1
    assert channel.sent == ["ready"]

"""What stops a start, in words."""

import os
import re
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from embedded import preflight
from embedded.preflight import PreflightError
from hubless.domain.profiles import Profile
from hubless.settings import Settings, SettingsError
from hubless.settings.theme import ThemeSettings


def settings(*, port: int = 1, host: str = "127.0.0.1") -> Settings:
    plain = Settings(Path("/srv/hub"))
    return replace(plain, hub=replace(plain.hub, host=host, port=port))


def test_a_port_in_use_is_named_with_its_program_and_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(PreflightError) as received:
            preflight.check_port(settings(port=port))

    assert str(received.value).startswith(f"Port {port} is in use")
    assert f"process {os.getpid()}" in str(received.value)
    assert "--port" in str(received.value)


def test_too_few_files_are_named_with_how_many_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (64, 255))

    with pytest.raises(PreflightError, match=r"may open 255 files here, and the hub needs 256\. .*ulimit -Hn"):
        preflight.check_open_files()

    monkeypatch.setattr("resource.getrlimit", lambda _: (64, 256))
    preflight.check_open_files()


def test_a_free_port_passes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

    preflight.check_port(settings(port=port))


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(PreflightError, match=r"cannot listen on 192\.0\.2\.1"):
        preflight.check_port(settings(host="192.0.2.1", port=20999))


def test_a_missing_program_is_named_with_its_profile() -> None:
    hub = replace(settings(), profiles=(Profile("small", command=("no-such-program",)),))

    with pytest.raises(PreflightError, match="no-such-program, which the profile 'small' starts, is not installed"):
        preflight.check_programs(hub)


def test_a_picture_that_is_missing_or_too_large_is_named(tmp_path: Path) -> None:
    hub = replace(settings(), profiles=(Profile("small", picture="small.png"),), file=tmp_path / "hubless.toml")

    with pytest.raises(PreflightError, match="The picture of the profile 'small' is not at"):
        preflight.check_pictures(hub)
    (tmp_path / "small.png").write_bytes(bytes(200_001))
    with pytest.raises(PreflightError, match="has more than 200,000 bytes"):
        preflight.check_pictures(hub)
    (tmp_path / "small.png").write_bytes(bytes(200_000))
    preflight.check_pictures(hub)


def test_what_is_wrong_with_a_theme_is_named(tmp_path: Path) -> None:
    hub = replace(settings(), theme=ThemeSettings(templates="own"), file=tmp_path / "hubless.toml")

    with pytest.raises(SettingsError, match=r"theme\.templates: there is no folder"):
        preflight.check_theme(hub)
    template = tmp_path / "own/login.html"
    template.parent.mkdir()
    template.write_text('{% extends "templates/login.html" %}\n{% block title %}Own{% endblock %}')
    preflight.check_theme(hub)
    for text, said in {
        "<p>\n{% if user %}": "login.html, line 2: Unexpected end of template",
        "{{ name|nofilter }}": "login.html, line 1: No filter named 'nofilter'",
        '{% extends "templates/pages.html" %}': "names the template templates/pages.html, which is not there",
    }.items():
        template.write_text(text)
        with pytest.raises(PreflightError, match=re.escape(said)):
            preflight.check_theme(hub)
    template.write_bytes(b"\xff")
    with pytest.raises(PreflightError, match="is not UTF-8 text"):
        preflight.check_theme(hub)


def test_programs_are_searched_on_the_servers_path(tmp_path: Path) -> None:
    program = tmp_path / "jupyterhub-singleuser"
    program.touch(mode=0o755)
    hub = replace(settings(), server_environment={"PATH": str(tmp_path)})

    preflight.check_programs(hub)


def test_a_port_that_our_own_haproxy_holds_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    hub = replace(settings(), profiles=())
    with socket.create_server(("127.0.0.1", 0)) as public, socket.socket(socket.AF_UNIX) as runtime:
        runtime.bind("edge.sock")
        runtime.listen()

        preflight.check(replace(hub, hub=replace(hub.hub, port=public.getsockname()[1])), Path())

"""The configuration is a pure function of a few facts."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_proxy import answers
from edge_proxy.connection_limits import BUFFER_BYTES, by_memory, connection_limit, connection_limit_in_words
from edge_proxy.haproxy_config import (
    FORWARDED_HEADERS,
    UNTRUSTED_HEADERS,
    EdgeConfiguration,
    HttpsOrigin,
    UnixSocket,
    map_key,
    map_value,
    referenced_files,
    render,
    server_from_activity_key,
)
from hubless.domain.routes import ServerKey


def configuration(**facts: Any) -> EdgeConfiguration:
    known: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": 8000,
        "api": UnixSocket(Path("/run/api.sock")),
        "run_folder": Path("/run/edge"),
    }
    return EdgeConfiguration(**(known | facts))


def lines(edge: EdgeConfiguration) -> list[str]:
    return [line.strip() for line in render(edge).splitlines()]


def test_equal_facts_render_the_same_text() -> None:
    assert render(configuration()) == render(configuration())


@pytest.mark.parametrize(
    ("host", "bind"),
    [
        ("127.0.0.1", "127.0.0.1:8000"),
        ("0.0.0.0", "*:8000"),
        ("::1", "[::1]:8000"),
        ("::", "[::]:8000"),
        ("hub.local", "hub.local:8000"),
    ],
)
def test_the_address_to_listen_on_is_rendered(host: str, bind: str) -> None:
    assert f"bind {bind}" in lines(configuration(host=host))


def test_the_facts_appear_in_the_configuration() -> None:
    text = lines(configuration(threads=3, max_connections=77, activity_seconds=60, websocket_timeout_seconds=90))
    assert "nbthread 3" in text
    assert "timeout tunnel 90s" in text
    assert "maxconn 77" in text
    assert "stats socket /run/edge/edge.sock mode 600 level admin expose-fd listeners" in text
    assert any(line.startswith("server api unix@/run/api.sock") for line in text)
    assert any("expire 60s" in line for line in text)


def test_no_forwarding_header_is_trusted_by_default() -> None:
    text = lines(configuration())
    for name in (*FORWARDED_HEADERS, *UNTRUSTED_HEADERS):
        assert f"http-request del-header {name}" in text
    assert not any("trusted" in line for line in text)


def test_forwarding_headers_of_trusted_proxies_alone_are_kept() -> None:
    text = lines(configuration(trusted_proxies=("10.0.0.0/8", "192.0.2.1")))
    assert "acl trusted src 10.0.0.0/8 192.0.2.1" in text
    for name in FORWARDED_HEADERS:
        assert f"http-request del-header {name} if !trusted" in text
    for name in UNTRUSTED_HEADERS:
        assert f"http-request del-header {name}" in text


def test_headers_are_cleared_before_they_are_set() -> None:
    text = lines(configuration())
    for name in FORWARDED_HEADERS[1:]:
        cleared = text.index(f"http-request del-header {name}")
        assert cleared < next(n for n, line in enumerate(text) if line.startswith(f"http-request add-header {name}"))


@pytest.mark.parametrize("api", [UnixSocket(Path("/run/api.sock")), None])
def test_every_referenced_file_is_written(api: UnixSocket | None) -> None:
    edge = configuration(api=api)
    text = render(edge)
    for file in referenced_files(edge):
        assert str(file) in text
        assert file.parent == edge.run_folder


def test_error_pages_load_nothing_from_elsewhere() -> None:
    for content in (*referenced_files(configuration()).values(), *referenced_files(configuration(api=None)).values()):
        assert "http:" not in content.replace("http://.", "")
        assert "https:" not in content
        assert "<script" not in content.replace("<script src=/hub/static/refresh.js>", "")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_keys_hold_hex_digits_only(prefix: str) -> None:
    key = map_key(prefix)
    assert set(key) <= set("0123456789ABCDEF")
    assert bytes.fromhex(key).decode() == prefix


@given(*[st.text(st.characters(exclude_categories=["Cs"]))] * 2)
def test_keys_keep_the_prefix_order_of_paths(one: str, other: str) -> None:
    assert map_key(one + other).startswith(map_key(one))
    assert map_key(other).startswith(map_key(one)) == other.encode().startswith(one.encode())


def test_with_subdomains_a_key_begins_with_the_host_of_its_prefix() -> None:
    assert bytes.fromhex(map_key("/user/bob/", "hub.example.org")) == b"bob.hub.example.org/user/bob/"
    assert "txn.host" not in render(configuration())
    assert "var(txn.host),concat(,txn.path),hex,map_beg" in render(configuration(domain="hub.example.org"))


def test_a_value_holds_the_address_and_the_server() -> None:
    assert map_value("10.0.0.1:8888", None) == "10.0.0.1:8888"
    server = ServerKey("s01", "u01")
    value = map_value("10.0.0.1:8888", server)
    assert value.split(":")[:2] == ["10.0.0.1", "8888"]
    assert server_from_activity_key(":".join(value.split(":")[2:])) == server


def test_a_remote_api_is_verified_and_resolved_repeatedly() -> None:
    text = lines(configuration(api=HttpsOrigin("abc.example.org", 443, "api.example.org")))
    (server,) = (line for line in text if line.startswith("server api "))
    for words in (
        "abc.example.org:443 ssl verify required ca-file @system-ca sni str(api.example.org)",
        " resolvers system ",
    ):
        assert words in server
    assert "http-request set-header Host api.example.org" in text
    assert "resolvers system" in text


@pytest.mark.parametrize(("address", "written"), [("10.0.0.1", "10.0.0.1:443"), ("fd00::1", "[fd00::1]:443")])
def test_an_address_is_not_looked_up(address: str, written: str) -> None:
    text = render(configuration(api=HttpsOrigin(address, 443, "api.example.org")))
    assert f"server api {written} ssl verify required" in text
    assert "resolvers" not in text


def test_without_a_health_path_nothing_answers_health_checks() -> None:
    assert "nbsrv" not in render(configuration())
    assert "/edge/health" in render(configuration(health_path="/edge/health"))


def test_an_edge_without_an_api_has_no_api_backend() -> None:
    text = render(configuration(api=None))
    assert "backend api" not in text
    assert "restarting" not in text


def test_front_headers_are_read_before_they_are_deleted() -> None:
    text = lines(configuration(host_header="x-hubless-host"))
    gone = text.index("http-request del-header ^x[-_]hubless[-_] -m reg")
    assert all(n < gone for n, line in enumerate(text) if "req.fhdr(x-hubless-" in line)
    assert "option forwardfor if-none" in text
    assert "http-request del-header ^x[-_]hubless[-_] -m reg" in lines(configuration())


@pytest.mark.parametrize(("files", "says"), [(2_048, "at most 924 at once"), (256, "at most 100 at once"), (-1, "")])
def test_a_limit_of_open_files_is_told_with_what_to_raise(
    files: int, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_proxy.connection_limits._memory_bytes", lambda: 64 * 2**30)
    monkeypatch.setattr("resource.getrlimit", lambda _: (files, files))
    told = connection_limit_in_words()
    assert says in told
    assert bool(told) == bool(says)
    assert not told or f"{files:,} files" in told


def test_a_machine_with_little_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_proxy.connection_limits._memory_bytes", lambda: 2**28)
    assert "memory holds no more" in connection_limit_in_words()


def test_the_connection_limit_follows_the_open_file_limit() -> None:
    assert 100 <= connection_limit() <= 20_000


def test_connections_are_counted_by_ipv4_address_and_by_the_64_of_ipv6() -> None:
    text = lines(configuration())
    assert "tcp-request connection track-sc2 src,ipmask(32,64) table addresses" in text
    trusting = lines(configuration(trusted_proxies=("10.0.0.0/8",)))
    assert "tcp-request connection track-sc2 src,ipmask(32,64) table addresses unless trusted" in trusting
    assert "backend addresses" not in render(configuration(connections_per_address=0))


@pytest.mark.parametrize(
    ("limit", "most", "refused", "cut"),
    [(4000, 20_000, 4000, 5000), (4000, 2000, 1600, 1800), (1, 100, 1, 2), (100_000, 20_000, 16_000, 18_000)],
)
def test_one_address_never_gets_all_connections(limit: int, most: int, refused: int, cut: int) -> None:
    found = configuration(connections_per_address=limit, max_connections=most).address_limit
    assert (found.refused_above, found.cut_above) == (refused, cut)


def test_full_buffers_of_all_connections_fit_into_half_of_the_memory() -> None:
    assert by_memory(512 * 2**20) * BUFFER_BYTES * 2 <= 256 * 2**20
    assert by_memory(512 * 2**20) == 2730
    assert f"tune.bufsize {BUFFER_BYTES}" in lines(configuration())


def test_the_answer_for_a_slow_server_does_not_repeat_the_request():
    assert answers.TOO_SLOW.status == 504
    assert "refresh" not in answers.TOO_SLOW.page.lower()
    assert "<script" not in answers.TOO_SLOW.page

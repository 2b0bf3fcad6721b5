"""The edge as it is: a real HAProxy, fed by the agent from a route table in SQLite."""

import http.client
import http.server
import itertools
import json
import logging
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from edge_proxy.errors import EdgeError
from edge_proxy.haproxy_binary import HAProxyBinary
from edge_proxy.haproxy_config import EdgeConfiguration, HttpsOrigin, UnixSocket, referenced_files, render
from edge_proxy.haproxy_process import HAProxyProcess
from edge_proxy.runtime_api import MAX_COMMAND_BYTES
from hubless.adapters.http_inspector import HttpInspector
from hubless.adapters.system_clock import SystemClock
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.idleness import NoAnswer
from hubless.domain.names import MAX_USER_NAME, server_prefix, url_name
from hubless.domain.origins import user_label
from hubless.domain.routes import Route, ServerKey
from hubless.services.identifiers import new_id
from tests.support.builders import a_server
from tests.support.concurrency import eventually
from tests.support.edge_world import SUBPROTOCOL, World, edge_world
from tests.support.free_port import free_port
from tests.support.haproxy import VERSIONS, Installed
from tests.support.http_servers import Echo, Told, ask_on, certificate, over_tls, running

pytestmark = pytest.mark.real


@pytest.fixture
def world(tmp_path: Path, haproxy: HAProxyBinary) -> Iterator[World]:
    with edge_world(tmp_path / "hub.sqlite", haproxy) as world:
        yield world


# To start a HAProxy takes ten times as long as to ask it something. So tests that change nothing share some.


@pytest.fixture(scope="module")
def unstarted(tmp_path_factory: pytest.TempPathFactory, haproxy: HAProxyBinary) -> Iterator[Callable[[], World]]:
    """Return what makes worlds whose edges run until the tests with this version of HAProxy are over."""
    with ExitStack() as stack:

        def made() -> World:
            return stack.enter_context(edge_world(tmp_path_factory.mktemp("hub") / "hub.sqlite", haproxy))

        yield made


@pytest.fixture(scope="module")
def shared(unstarted: Callable[[], World]) -> World:
    """Return an edge that leads to alice and bob. A test that changes a route changes it back."""
    return with_alice_and_bob(unstarted())


def with_alice_and_bob(world: World, **facts: Any) -> World:
    for name in ("alice", "bob"):
        world.route(f"/user/{name}/", name)
    world.started(**facts)
    return world


# --- which server ---


def test_longest_prefix_wins(world: World) -> None:
    world.route("/user/alice/", "alice")
    world.route("/user/alice/lab2/", "alice's lab2")
    world.route("/user/al/", "al")
    world.started()
    assert world.ask("/user/alice/").who == "alice"
    assert world.ask("/user/alice/tree").who == "alice"
    assert world.ask("/user/alice/lab2").who == "alice"
    assert world.ask("/user/alice/lab2/").who == "alice's lab2"
    assert world.ask("/user/alice/lab2/x/y").who == "alice's lab2"
    assert world.ask("/user/alice/lab22/").who == "alice"
    assert world.ask("/user/al/").who == "al"


@pytest.mark.parametrize(
    "path", ["/", "/hub/home", "/hub", "/user/nobody/", "/user/alice", "/user/alicea/", "/x?next=/user/alice/"]
)
def test_a_request_without_a_route_goes_to_the_api_unchanged(shared: World, path: str) -> None:
    received = shared.ask(path)
    assert (received.who, received.said["path"]) == ("API", path)


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "a%20b",
        "a%2Fb",
        "%C3%A9",
        "a+b",
        "a%2bb",
        "x?",
        "x?a=%2F..%2F&b=a+b&c=%C3%A9",
        "x;y=z",
        "a//b",
        "%7Euser/~x",
        "x?next=/../",
        "100%25",
    ],
)
def test_path_and_query_reach_the_server_unchanged(shared: World, rest: str) -> None:
    received = shared.ask(f"/user/alice/{rest}")
    assert (received.who, received.said["path"]) == ("alice", f"/user/alice/{rest}")


# Each name in the spelling that its server knows, JupyterHub's, and in those that clients send.
NAMES = {
    "ann smith": ["ann%20smith"],
    "zoë": ["zo%C3%AB", "zo%c3%ab"],
    "学生": ["%E5%AD%A6%E7%94%9F"],
    "a@b.org": ["a@b.org", "a%40b.org"],
    "50%": ["50%25"],
    "%41": ["%2541"],
    "a+b": ["a%2Bb", "a+b", "a%2bb"],
    "x(1),[y]": ["x%281%29%2C%5By%5D", "x(1),[y]", "x(1)%2C%5By%5D"],
    "it's*!~$&=:": ["it%27s%2A%21~%24%26%3D%3A", "it's*!~$&=:", "it%27s*!%7E%24%26%3d%3A"],
    'q"\\;#?': ["q%22%5C%3B%23%3F", "q%22%5C;%23%3F"],
    "line\nbreak": ["line%0Abreak"],
}


@pytest.mark.parametrize("name", NAMES)
def test_any_name_has_a_route(shared: World, name: str) -> None:
    shared.route(f"/user/{name}/", "it")
    shared.agents[0].run_once()
    for written in NAMES[name]:
        received = shared.ask(f"/user/{written}/lab/%40,+?x=%41")
        assert (received.who, received.said["path"]) == ("it", f"{server_prefix(name, '')}lab/%40,+?x=%41")
    assert NAMES[name][0] == url_name(name)
    assert shared.ask(f"/user/{NAMES[name][0]}x/lab").who == "API"
    shared.routes.remove(f"/user/{name}/", "launch-it")
    shared.agents[0].run_once()
    assert shared.ask(f"/user/{NAMES[name][0]}/lab").who == "API"


def test_a_plus_is_no_space(world: World) -> None:
    world.route("/user/a b/", "a b")
    world.started()
    assert world.ask("/user/a+b/").who == "API"


@pytest.mark.parametrize(
    "path", ["/user/b%6Fb/", "/%75ser/bob/", "/user%2Fbob/", "/user/bob%2Fx", "http://hub.example.org/user/bob/"]
)
def test_an_encoded_path_is_routed_by_its_decoded_prefix(shared: World, path: str) -> None:
    assert shared.ask(path).who == "bob"


TRICKS = [
    "/user/alice/../bob/x",
    "/user/alice/%2e%2e/bob/",
    "/user/alice/%2E%2E/bob/",
    "/user/alice/.%2e/bob/",
    "/user/alice/%2e%2e%2fbob/",
    "/user/alice/%2e%2e/bob",
    "/user/alice%2f..%2fbob/",
    "/user/alice%2F%2E%2E%2Fbob/",
    "/user/alice/./../bob/",
    "/user/alice/x/../../bob/",
    "/user/alice/..%5cbob/",
    "/user/alice/..;/bob/",
    "/user/alice/%252e%252e/bob/",
    "/user/./bob/",
    "/user/%2e/bob/",
    "/user//bob/",
    "//user/bob/",
    "///user/bob/",
    "/%2fuser/bob/",
    "/hub/../user/bob/",
    "/hub/%2e%2e/user/bob/",
    "/hub%2f../user/bob/",
    "/user/bob/..",
    "/user/bob/.",
    "/user/bob/%2e%2e",
    "/user/bob/../alice/",
    "/user/bob%00/",
    "/user/%00bob/",
    "/%00/user/bob/",
    "/user/alice/%00/../bob/",
    "/user/bob%",
    "/user/b%6/",
    "/USER/bob/",
    "/user/Bob/",
    "/user/bob",
    "/user/bob;/",
    "/user/bob?/",
    "/user/bob%3F/",
    "/user/bob%23/",
    "/user/%62ob%2",
    "http://user/bob/",
    "*",
]


@pytest.mark.parametrize("path", TRICKS)
def test_no_trick_with_a_path_reaches_bob(shared: World, path: str) -> None:
    received = shared.ask(path, method="OPTIONS" if path == "*" else "GET")
    if received.status == 200:
        assert received.who != "bob"
        assert received.said["path"] in (path, "/bob/")  # the server gets it unchanged; /bob/: of http://user/bob/
    else:
        assert received.status == 400


@pytest.mark.parametrize(
    "path",
    ["/user/alice/../bob/x", "/user/alice/%2e%2e/bob/", "/user/alice%2f..%2fbob/", "/hub/../user/bob/", "/user/bob/.."],
)
def test_paths_with_dot_segments_go_to_the_api(shared: World, path: str) -> None:
    assert shared.ask(path).who == "API"


@pytest.mark.parametrize(
    "path",
    ["/user/bob/...", "/user/bob/.config/x", "/user/bob/a..b/", "/user/bob/..a", "/user/bob/x.", "/user/bob/x?a=/../"],
)
def test_other_dots_are_part_of_names(shared: World, path: str) -> None:
    assert shared.ask(path).who == "bob"


# --- at which host ---

OTHER_HOSTS = [
    "hub.example.org",
    "alice.hub.example.org",
    "bob.hub.example.org.",
    "bob.hub.example.org.evil.example",
    "bob.example.org",
    "xbob.hub.example.org",
    "bob.hub.example.orgx",
    "ob.hub.example.org",
    "b",
    "127.0.0.1",
    "[::1]",
    "bob",
    "bob--service.hub.example.org",
    "alice.hub.example.org,bob.hub.example.org",
    "bob.hub.example.org/user/bob/",
    "bob.hub.example.org/x",
    "",
]


@pytest.fixture(scope="module")
def below(unstarted: Callable[[], World]) -> World:
    """Return an edge at which each has a host of their own."""
    world = unstarted()
    world.route("/user/bob/lab/", "bob's lab")
    world.route("/services/grades/", "grades")
    return with_alice_and_bob(world, domain="hub.example.org")


def test_a_server_is_served_at_its_owners_host_alone(below: World) -> None:
    for host in ("bob.hub.example.org", "bob.hub.example.org:8443", "BOB.Hub.example.org"):
        received = below.ask("/user/bob/lab", host=host)
        assert (received.who, received.said["headers"]["host"], received.said["path"]) == (
            "bob",
            [host],
            "/user/bob/lab",
        )
    assert below.ask("/user/bob/lab/", host="bob.hub.example.org").who == "bob's lab"
    for host in OTHER_HOSTS:
        for path in ("/user/bob/", "/user/bob/lab/", "/x", "/"):
            received = below.ask(path, host=host)
            assert received.status == 400 or received.who == "API", (host, path)


def test_a_service_is_served_at_its_own_host_alone(below: World) -> None:
    assert below.ask("/services/grades/x", host="grades--service.hub.example.org").who == "grades"
    for host in ("hub.example.org", "grades.hub.example.org", "bob.hub.example.org"):
        assert below.ask("/services/grades/x", host=host).who == "API"


def test_the_hubs_own_paths_go_to_the_api_at_any_host(below: World) -> None:
    for host in ("hub.example.org", "bob.hub.example.org", "grades--service.hub.example.org"):
        received = below.ask("/hub/login", host=host)
        assert (received.who, received.said["headers"]["x-forwarded-host"]) == ("API", [host])


def test_headers_beside_host_do_not_change_the_routing(below: World) -> None:
    claims = (
        "X-Forwarded-Host: bob.hub.example.org",
        "Forwarded: host=bob.hub.example.org",
        "X-Original-URL: /user/bob/",
    )
    assert below.ask("/user/bob/", headers=claims).who == "API"
    assert below.ask("http://hub.example.org/user/bob/").who == "API"


def test_each_request_of_a_connection_is_routed_by_its_own_host(below: World) -> None:
    with socket.create_connection(("127.0.0.1", below.port), timeout=20) as line:
        for name, other in [("alice", "bob"), ("bob", "alice")] * 3:
            assert ask_on(line, f"/user/{name}/", host=f"{name}.hub.example.org").who == name
            assert ask_on(line, f"/user/{other}/", host=f"{name}.hub.example.org").who == "API"


@pytest.mark.parametrize("name", ["zoë", "a@b.org", "%41", "www"])
def test_any_user_name_has_a_host_that_serves_its_server(below: World, name: str) -> None:
    host = f"{user_label(name)}.hub.example.org"
    below.route(f"/user/{name}/", "it")
    below.agents[0].run_once()
    assert below.ask(f"/user/{quote(name)}/lab", host=host).who == "it"
    assert below.ask(f"/user/{quote(name)}/lab", host="bob.hub.example.org").who == "API"
    below.routes.remove(f"/user/{name}/", "launch-it")
    below.agents[0].run_once()
    assert below.ask(f"/user/{quote(name)}/lab", host=host).who == "API"


def test_a_websocket_is_routed_by_its_host_too(below: World) -> None:
    below.routes.put(Route("/user/carol/", below.web_socket_server(), "l", ServerKey("s", "u")))
    below.agents[0].run_once()
    with below.web_socket("/user/carol/api/kernels/1/channels", host="carol.hub.example.org") as line:
        line.send("hello")
        assert line.recv(timeout=10) == "hello"
    with pytest.raises(InvalidStatus):
        below.web_socket("/user/carol/api/kernels/1/channels", host="bob.hub.example.org")


def test_the_hubs_own_paths_cannot_be_taken(world: World) -> None:
    world.route("/hub/", "thief")
    world.route("/hub/login/", "thief")
    world.started()
    assert world.ask("/hub/login/").who == "API"
    assert world.ask("/hub").who == "API"


def test_the_hubs_own_paths_cannot_be_taken_encoded(world: World) -> None:
    world.route("/hub/", "thief")
    world.started()
    assert world.ask("/h%75b/login").who == "API"


def test_a_route_for_everything_leaves_the_hub_alone(world: World) -> None:
    world.route("/", "everything")
    world.started()
    assert world.ask("/whatever").who == "everything"
    assert world.ask("/hub/home").who == "API"


def test_each_request_of_one_connection_is_routed_by_itself(world: World) -> None:
    for name in ("alice", "bob", "carol"):
        world.route(f"/user/{name}/", name)
    agent = world.started()
    with socket.create_connection(("127.0.0.1", world.port), timeout=20) as line:
        for _ in range(20):
            for name in ("alice", "bob", "carol"):
                assert ask_on(line, f"/user/{name}/").who == name
            assert ask_on(line, "/hub/").who == "API"
        world.route("/user/alice/", "alice's next")
        agent.run_once()
        assert ask_on(line, "/user/alice/").who == "alice's next"


def test_methods_and_bodies_reach_the_server(shared: World) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        body = "x" * 50_000 if method != "GET" else ""
        said = shared.ask("/user/alice/api", method, body=body).said
        assert (said["method"], said["body"]) == (method, body)


# --- headers ---


def test_the_edge_sets_the_forwarding_headers_itself(shared: World) -> None:
    lies = (
        "X-Forwarded-For: 6.6.6.6",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil.example",
        "X-Forwarded-Port: 1",
        "Forwarded: for=6.6.6.6",
        "X-Real-IP: 6.6.6.6",
        "X-Scheme: https",
        "Proxy: evil",
        "X-Original-URL: /x",
        "X-Rewrite-URL: /x",
        "X-Forwarded-Server: evil",
    )
    for path in ("/user/alice/", "/hub/"):
        headers = shared.ask(path, headers=lies).said["headers"]
        assert headers["x-forwarded-for"] == ["127.0.0.1"]
        assert headers["x-forwarded-proto"] == ["http"]
        assert headers["x-forwarded-host"] == ["hub.example.org"]
        assert headers["x-forwarded-port"] == [str(shared.port)]
        assert not {
            "forwarded",
            "x-real-ip",
            "x-scheme",
            "proxy",
            "x-original-url",
            "x-rewrite-url",
            "x-forwarded-server",
        } & set(headers)


def test_a_trusted_proxys_forwarding_headers_are_kept(world: World) -> None:
    world.started(trusted_proxies=("127.0.0.1",))
    true = (
        "X-Forwarded-For: 9.9.9.9",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: hub.example.com",
        "X-Forwarded-Port: 443",
    )
    headers = world.ask("/hub/", headers=true).said["headers"]
    assert ", ".join(headers["x-forwarded-for"]).startswith("9.9.9.9")
    assert headers["x-forwarded-proto"] == ["https"]
    assert headers["x-forwarded-host"] == ["hub.example.com"]
    assert headers["x-forwarded-port"] == ["443"]


def test_a_trusted_proxys_host_counts_where_it_says_one(world: World) -> None:
    world.route("/user/alice/", "alice")
    world.started(trusted_proxies=("127.0.0.1",))
    hosts = ("evil.example, hub.example.com", "hub.example.com")
    for sent in hosts:  # the last one is what this proxy itself was asked for
        headers = world.ask("/user/alice/", headers=(f"X-Forwarded-Host: {sent}",), host="127.0.0.1:8000").said[
            "headers"
        ]
        assert headers["host"] == ["hub.example.com"]


@pytest.fixture(scope="module")
def with_public_url(unstarted: Callable[[], World]) -> World:
    return with_alice_and_bob(unstarted(), public_url="https://hub.example.org")


@pytest.mark.parametrize(
    ("sent", "passed"),
    [
        ("Origin: https://hub.example.org", "hub.example.org"),
        ("Referer: https://hub.example.org/user/alice/lab", "hub.example.org"),
        ("Origin: https://hub.example.org.evil.example", "127.0.0.1:8000"),
        ("Referer: https://hub.example.org.evil.example/", "127.0.0.1:8000"),
        ("Referer: https://evil.example/https://hub.example.org/", "127.0.0.1:8000"),
        ("Origin: http://hub.example.org", "127.0.0.1:8000"),
        ("Origin: http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("X-Forwarded-Host: hub.example.org", "127.0.0.1:8000"),
        ("Accept: */*", "127.0.0.1:8000"),
    ],
)
def test_a_host_that_a_proxy_replaced_is_restored_for_the_hubs_own_pages(
    with_public_url: World, sent: str, passed: str
) -> None:
    for path in ("/user/alice/api/kernels", "/hub/home"):
        headers = with_public_url.ask(path, headers=(sent,), host="127.0.0.1:8000").said["headers"]
        assert (headers["host"], headers["x-forwarded-host"]) == ([passed], [passed])


def test_with_subdomains_no_page_chooses_the_host(world: World) -> None:
    with_alice_and_bob(world, domain="hub.example.org", public_url="https://hub.example.org")
    headers = ("Origin: https://hub.example.org", "X-Forwarded-Host: bob.hub.example.org")
    assert world.ask("/user/bob/", headers=headers, host="127.0.0.1:8000").who == "API"
    assert world.ask("/user/bob/", headers=headers, host="bob.hub.example.org").who == "bob"


def test_other_proxies_forwarding_headers_are_replaced(world: World) -> None:
    world.started(trusted_proxies=("10.0.0.0/8", "192.0.2.1"))
    headers = world.ask("/hub/", headers=("X-Forwarded-For: 9.9.9.9", "X-Forwarded-Proto: https")).said["headers"]
    assert headers["x-forwarded-for"] == ["127.0.0.1"]
    assert headers["x-forwarded-proto"] == ["http"]


def test_other_headers_reach_the_server_unchanged(shared: World) -> None:
    sent = (
        "Cookie: a=1; b=2",
        "Origin: http://hub.example.org",
        "Sec-Fetch-Site: same-origin",
        "Authorization: token x",
    )
    headers = shared.ask("/user/alice/", headers=sent).said["headers"]
    assert headers["host"] == ["hub.example.org"]
    assert {
        (f"{name}: {headers[name.lower()][0]}") for name in ("Cookie", "Origin", "Sec-Fetch-Site", "Authorization")
    } == set(sent)


@pytest.mark.parametrize(
    ("sent", "passed"),
    [
        ("a=1; __Host-jupyterhub-hub-login=secret; b=2", "a=1; ; b=2"),
        ("__Host-jupyterhub-hub-login=secret", ""),
        ("x__Host-jupyterhub-hub=1; jupyterhub-session-id=2", "x__Host-jupyterhub-hub=1; jupyterhub-session-id=2"),
    ],
)
def test_the_hubs_login_cookie_reaches_the_hub_and_no_server(shared: World, sent: str, passed: str) -> None:
    assert shared.ask("/user/alice/", headers=(f"Cookie: {sent}",)).said["headers"].get("cookie", [""]) == [passed]
    assert shared.ask("/hub/home", headers=(f"Cookie: {sent}",)).said["headers"]["cookie"] == [sent]


@pytest.fixture(scope="module")
def with_login_headers(unstarted: Callable[[], World]) -> World:
    return with_alice_and_bob(unstarted(), login_headers=("x-gate",))


@pytest.mark.parametrize(
    "name",
    [
        *("X-Amzn-Oidc-Data", "x-amzn-oidc-accesstoken", "X_Amzn_Oidc_Identity", "Cf-Access-Jwt-Assertion"),
        *("X-Goog-IAP-JWT-Assertion", "X-Auth-Request-Jwt", "X_Auth_Request_Access_Token", "X-Gate"),
    ],
)
def test_what_a_proxy_says_of_a_person_reaches_the_hub_and_no_server(with_login_headers: World, name: str) -> None:
    sent = (f"{name}: word", "X-Gateway: other")

    received = with_login_headers.ask("/user/alice/", headers=sent).said["headers"]

    assert name.lower() not in received
    assert received["x-gateway"] == ["other"]
    assert with_login_headers.ask("/hub/login", headers=sent).said["headers"][name.lower()] == ["word"]


@pytest.mark.parametrize("trusted", [("127.0.0.1",), ("192.0.2.1",), ()])
def test_a_bare_name_comes_from_a_trusted_proxy_or_from_nobody(world: World, trusted: tuple[str, ...]) -> None:
    names = ("x-remote-user", "x-remote-secret")
    world.started(trusted_proxies=trusted, login_headers=names, unsigned_headers=names)

    sent = ("X-Remote-User: ada", "X_Remote_User: root", "X-Remote-Secret: s")
    seen = world.ask("/hub/login", headers=sent).said["headers"]

    assert ("x-remote-user" in seen, "x-remote-secret" in seen) == ((trusted == ("127.0.0.1",)),) * 2


@pytest.mark.parametrize(
    "sent",
    [
        ("__Host-jupyterhub-hub-login=secret; a=1; __Host-jupyterhub-hub-login=planted",),
        ("a=1", "__Host-jupyterhub-hub-login=secret; __Host-jupyterhub-hub-login=b; __Host-jupyterhub-hub-login=c"),
        ("__Host-jupyterhub-hub-login=secret", "a=1", "__Host-jupyterhub-hub-login=planted"),
    ],
)
def test_a_planted_second_login_cookie_carries_the_first_to_no_server(shared: World, sent: tuple[str, ...]) -> None:
    passed = (
        shared.ask("/user/alice/", headers=tuple(f"Cookie: {cookies}" for cookies in sent))
        .said["headers"]
        .get("cookie", [])
    )
    assert not any("secret" in cookies or "hub-login" in cookies for cookies in passed)


# --- changes ---


def test_a_route_is_added_and_removed_at_once(world: World) -> None:
    agent = world.started()
    assert world.ask("/user/alice/").who == "API"
    world.route("/user/alice/", "alice")
    agent.run_once()
    assert world.ask("/user/alice/").who == "alice"
    world.routes.remove("/user/alice/", "launch-alice")
    agent.run_once()
    assert world.ask("/user/alice/").who == "API"


def test_the_agent_reports_what_it_applied_and_deregisters(world: World) -> None:
    agent = world.started()
    world.route("/user/alice/", "alice")
    agent.run_once()
    assert [(r.edge_id, r.sequence) for r in world.routes.reports()] == [("edge-1", world.routes.sequence())]
    agent.close()
    assert world.routes.reports() == []


def test_more_changes_than_one_read_returns_are_applied(world: World) -> None:
    agent = world.started()
    world.server("alice")
    with world.routes._database.transaction():
        for n in range(1201):
            world.route(f"/user/u{n}/", "alice")
    agent.run_once()
    assert [world.ask(f"/user/u{n}/").who for n in (0, 499, 500, 1000, 1200)] == ["alice"] * 5
    assert world.routes.reports()[0].sequence == 1201


@pytest.mark.parametrize("length", [12, MAX_USER_NAME])
def test_a_thousand_routes_with_real_names_and_ids_are_loaded(world: World, length: int) -> None:
    address, now = world.server("it"), datetime.now(UTC)
    names = [f"{n:04}".ljust(length, "é") for n in range(1000)]
    with world.routes._database.transaction():
        for name in names:
            world.routes.put(
                Route(f"/user/{name}/", address, new_id("l", now), ServerKey(new_id("s", now), new_id("u", now)))
            )
    agent = world.started()
    assert "entry_cnt=1000" in agent._haproxy.runtime.command("show map")
    for name in (names[0], names[500], names[-1]):
        assert world.ask(f"/user/{quote(name)}/").who == "it"


@pytest.mark.parametrize(
    "length",
    [MAX_COMMAND_BYTES, MAX_COMMAND_BYTES + 1, 2 * MAX_COMMAND_BYTES, 2 * MAX_COMMAND_BYTES + 1, 4 * MAX_COMMAND_BYTES],
)
def test_an_entry_above_the_length_limit_harms_neither_others_nor_haproxy(world: World, length: int) -> None:
    agent = world.started()
    runtime, file = agent._haproxy.runtime, agent._edge.map_file
    key = "A" * (length - len(" 10.0.0.1:1\n"))
    is_taken = length <= MAX_COMMAND_BYTES

    assert runtime.replace(file, [("BB", "10.0.0.1:1"), (key, "10.0.0.1:1"), ("CC", "10.0.0.1:1")]) == 2 + is_taken
    runtime.set(file, key, "10.0.0.2:1")
    runtime.set(file, "BB", "10.0.0.2:1")

    entries = {line.split()[1]: line.split()[2] for line in runtime.command(f"show map {file}").splitlines()}
    assert entries == {"BB": "10.0.0.2:1", "CC": "10.0.0.1:1"} | ({key: "10.0.0.2:1"} if is_taken else {})
    runtime.remove(file, key)
    assert runtime.command(f"show map {file}").count("\n") == 1
    assert agent._haproxy.is_alive()


def test_a_refused_removal_is_an_error_and_removing_what_is_gone_is_none(world: World) -> None:
    agent = world.started()
    runtime = agent._haproxy.runtime
    runtime.remove(agent._edge.map_file, "AA")
    with pytest.raises(EdgeError, match="Unknown map"):
        runtime.remove(world.folder / "other.map", "AA")


def test_a_trimmed_log_leads_to_a_full_load(world: World) -> None:
    world.route("/user/alice/", "alice")
    agent = world.started()
    world.routes.remove("/user/alice/", "launch-alice")
    world.route("/user/bob/", "bob")
    world.route("/user/carol/", "carol")
    world.routes.trim(1)
    agent.run_once()
    assert [world.ask(f"/user/{name}/").who for name in ("alice", "bob", "carol")] == ["API", "bob", "carol"]
    assert world.routes.reports()[0].sequence == world.routes.sequence()


def test_a_host_that_does_not_exist_harms_no_other_route(world: World) -> None:
    world.route("/user/alice/", "alice")
    world.routes.put(Route("/user/lost/", "nowhere.invalid:1", "launch-lost"))
    agent = world.started()
    world.routes.put(Route("/user/lost2/", "nowhere.invalid:1", "launch-lost"))
    world.route("/user/bob/", "bob")
    agent.run_once()
    assert [world.ask(f"/user/{name}/").who for name in ("alice", "lost", "lost2", "bob")] == [
        "alice",
        "API",
        "API",
        "bob",
    ]


def test_a_route_whose_new_host_does_not_exist_is_removed(world: World) -> None:
    world.route("/user/alice/", "alice")
    agent = world.started()
    world.routes.put(Route("/user/alice/", "nowhere.invalid:1", "launch-2"))
    agent.run_once()
    assert world.ask("/user/alice/").who == "API"


def test_a_host_name_is_resolved(world: World) -> None:
    world.routes.put(Route("/user/alice/", world.server("alice").replace("127.0.0.1", "localhost"), "launch-1"))
    world.started()
    assert world.ask("/user/alice/").who == "alice"


def test_requests_pass_while_the_store_is_away(world: World) -> None:
    world.route("/user/alice/", "alice")
    agent = world.started()
    world.store.is_away = True
    agent.run_once()
    agent.run_once()
    assert world.ask("/user/alice/").who == "alice"
    world.route("/user/bob/", "bob")
    world.store.is_away = False
    agent.run_once()
    assert world.ask("/user/bob/").who == "bob"


def test_an_agent_started_without_the_table_sends_all_to_the_api(world: World) -> None:
    world.route("/user/alice/", "alice")
    world.store.is_away = True
    agent = world.started()
    agent.run_once()
    assert world.ask("/user/alice/").who == "API"
    world.store.is_away = False
    agent.run_once()
    assert world.ask("/user/alice/").who == "alice"
    assert world.routes.reports()[0].sequence == world.routes.sequence()


def test_applied_changes_are_reported_once_the_table_accepts_it(world: World) -> None:
    agent = world.started(heartbeat_seconds=3600)
    before = world.routes.reports()
    world.route("/user/alice/", "alice")
    world.store.refuses = "report"
    agent.run_once()
    assert world.ask("/user/alice/").who == "alice"
    assert world.routes.reports() == before
    world.store.refuses = ""
    agent.run_once()
    assert world.routes.reports()[0].sequence == world.routes.sequence()


def test_without_changes_the_agent_reports_at_heartbeats_only(world: World) -> None:
    agent = world.started(heartbeat_seconds=3600)
    before = world.routes.reports()
    agent.run_once()
    assert world.routes.reports() == before
    often = world.agent(heartbeat_seconds=0)
    often.start()
    often.run_once()
    assert world.routes.reports()[0].seen_at > before[0].seen_at


def test_after_a_long_outage_the_agent_reads_the_whole_table(world: World) -> None:
    world.route("/user/alice/", "alice")
    world.route("/user/bob/", "bob")
    agent = world.started(full_reload_after_seconds=0)
    world.store.is_away = True
    agent.run_once()
    # It comes back from a backup of before bob, and has as many changes by now.
    with world.routes._database.transaction():
        world.routes._database.write("DELETE FROM routes WHERE prefix = '/user/bob/'")
        world.routes._database.write("UPDATE route_changes SET prefix = '/user/x/' WHERE sequence = 2")
    world.store.is_away = False
    agent.run_once()
    assert [world.ask(f"/user/{name}/").who for name in ("alice", "bob")] == ["alice", "API"]


def test_a_broken_load_keeps_the_old_routes_and_frees_its_memory(world: World) -> None:
    world.route("/user/alice/", "alice")
    agent = world.started()
    runtime, file = agent._haproxy.runtime, agent._edge.map_file

    def breaks_off() -> Iterator[tuple[str, str]]:
        yield "00", "127.0.0.1:1"
        raise StoreUnavailableError("the table is away")

    for _ in range(3):
        with pytest.raises(StoreUnavailableError):
            runtime.replace(file, breaks_off())
    assert "entry_cnt=1" in runtime.command("show map")
    assert world.ask("/user/alice/").who == "alice"


def test_run_follows_the_table_until_it_is_stopped(world: World) -> None:
    agent = world.started()
    stop = threading.Event()
    thread = threading.Thread(target=agent.run, args=(stop,))
    thread.start()
    try:
        world.route("/user/alice/", "alice")
        while world.routes.reports()[0].sequence != world.routes.sequence():
            stop.wait(0.005)
        assert world.ask("/user/alice/").who == "alice"
    finally:
        stop.set()
        thread.join()


# --- an API elsewhere ---


@pytest.fixture
def far_api(world: World) -> Iterator[tuple[HttpsOrigin, list[str]]]:
    """An API that is reached over TLS under another name than its address, and the names that it was asked by."""
    pem, names = certificate(world.folder, "api.example.org"), list[str]()
    server = running(over_tls(pem, names))
    yield HttpsOrigin("127.0.0.1", server.server_address[1], "api.example.org", str(pem)), names
    server.shutdown()
    server.server_close()


def test_a_remote_api_is_reached_over_tls_by_its_name(world: World, far_api: tuple[HttpsOrigin, list[str]]) -> None:
    origin, names = far_api
    world.route("/user/alice/", "alice")
    world.started(api=origin)
    received = world.ask("/hub/x%2Fy?a=%20", "POST", ("Cookie: a=1",), body="text")
    assert (received.who, received.said["path"], received.said["body"], received.said["headers"]["cookie"]) == (
        "API",
        "/hub/x%2Fy?a=%20",
        "text",
        ["a=1"],
    )
    assert received.said["headers"]["host"] == ["api.example.org"]
    assert received.said["headers"]["x-forwarded-host"] == ["hub.example.org"]
    assert set(names) == {"api.example.org"}
    alice = world.ask("/user/alice/")
    assert (alice.who, alice.said["headers"]["host"]) == ("alice", ["hub.example.org"])


def test_an_api_with_a_foreign_certificate_gets_no_request(
    world: World, far_api: tuple[HttpsOrigin, list[str]]
) -> None:
    origin, _ = far_api
    world.started(api=replace(origin, name="api.example.com"))
    assert world.ask("/hub/home").status == 503


def test_an_api_with_an_untrusted_certificate_gets_no_request(
    world: World, far_api: tuple[HttpsOrigin, list[str]]
) -> None:
    origin, _ = far_api
    other = certificate(world.folder, "other.example.org")
    world.started(api=replace(origin, authorities=str(other)))
    assert world.ask("/hub/home").status == 503


def test_an_edge_starts_though_the_apis_name_does_not_resolve(world: World) -> None:
    world.route("/user/alice/", "alice")
    world.started(api=HttpsOrigin("api.invalid", 443, "api.invalid", str(certificate(world.folder, "api.invalid"))))
    assert world.ask("/user/alice/").who == "alice"
    assert world.ask("/hub/home").status == 503


def test_a_remote_api_gets_the_path_as_sent_and_no_claims_of_the_browser(
    world: World, far_api: tuple[HttpsOrigin, list[str]]
) -> None:
    world.started(api=far_api[0])
    headers = world.ask("/hub/x%2Fy?a=1", headers=("x-hubless-path: /hub/admin", "X-Hubless-Front: guess")).said[
        "headers"
    ]
    assert {name: value for name, value in headers.items() if name.startswith("x-hubless-")} == {
        "x-hubless-path": ["/hub/x%2Fy"]
    }


# --- no API: CloudFront asks it ---

ASKERS = {
    "a page": (("Accept: text/html,*/*;q=0.8",), "GET", "/user/bob/lab", False),
    "anybody": ((), "HEAD", "/user/bob/lab", False),
    "a form": (("Sec-Fetch-Mode: navigate", "Accept: text/html"), "POST", "/user/bob/lab", False),
    "a form of a browser that says little": (("Accept: text/html,*/*;q=0.8",), "POST", "/user/bob/lab", False),
    "the server's API": (("Accept: */*",), "GET", "/user/bob/api/contents", True),
    "the server's API, opened": (("Accept: text/html",), "GET", "/user/bob/api/contents", False),
    "a folder whose name begins so": ((), "GET", "/user/bob/lab/tree/apis/x", False),
    "JSON": (("Accept: application/json",), "GET", "/user/bob/files/x", True),
    "a script": (("Sec-Fetch-Mode: cors",), "POST", "/user/bob/x", True),
}


@pytest.mark.parametrize("name", ["bob", "away"])
def test_without_an_api_errors_are_answered_in_the_clients_media_type(apiless: World, name: str) -> None:
    def ask(asker: str) -> Told:
        headers, method, path, _ = ASKERS[asker]
        return apiless.ask(path.replace("bob", name), method, headers)

    with ThreadPoolExecutor(len(ASKERS)) as pool:  # HAProxy tries for a second to reach a server that is away
        answers = dict(zip(ASKERS, pool.map(ask, ASKERS), strict=True))

    for asker, received in answers.items():
        _, method, _, is_program = ASKERS[asker]
        assert (received.status, received.headers["Cache-Control"]) == (503, "no-store"), asker
        assert received.headers["Retry-After"] == "5", asker
        wanted = "application/json" if is_program else "text/html; charset=utf-8"
        assert received.headers.get_all("Content-Type") == [wanted], asker
        if is_program:
            assert (said := json.loads(received.text)).keys() == {"status", "message"}, asker
            assert said["status"] == 503, asker
        elif method != "HEAD":
            assert "<h1>" in received.text, asker


@pytest.mark.parametrize("path", ["/", "/hub/home", "/user/alice/../bob/", "/user/alice/x/./y"])
def test_without_an_api_hub_paths_and_dot_segments_are_refused(apiless: World, path: str) -> None:
    assert apiless.ask(path).status == 503


def test_a_servers_own_answers_pass_unchanged(apiless: World) -> None:
    received = apiless.ask("/user/busy/api/x", headers=("Accept: application/json",))
    assert (received.status, received.headers["Content-Type"], received.text) == (503, "text/plain", "ask later")


@pytest.fixture(scope="module")
def apiless(unstarted: Callable[[], World]) -> Iterator[World]:
    world = unstarted()
    world.route("/user/alice/", "alice")
    world.routes.put(Route("/user/busy/", world.server("busy", Busy), "launch-2"))
    with socket.socket() as away:  # it is bound and does not listen: nobody else does there
        away.bind(("127.0.0.1", 0))
        world.routes.put(Route("/user/away/", f"127.0.0.1:{away.getsockname()[1]}", "launch-1"))
        world.started(api=None)
        yield world


class Busy(Echo):
    """A server that has no time."""

    def do_GET(self) -> None:
        self.send_response(503)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", "9")
        self.end_headers()
        self.wfile.write(b"ask later")


# --- behind CloudFront ---


def test_behind_cloudfront_the_browsers_own_request_is_restored(world: World) -> None:
    world.route("/user/alice/", "alice")
    world.started(api=None, host_header="x-hubless-host")
    handed_on = (
        "x-hubless-host: alice.hub.example.com",
        "x-hubless-address: 192.0.2.7",
        "x-hubless-path: /user/alice/",
    )
    claims = (
        "X-Forwarded-For: 6.6.6.6, 192.0.2.7",
        "X-Forwarded-Host: evil.example",
        "X-Forwarded-Proto: ftp",
        "X-Real-IP: 6.6.6.6",
    )
    headers = world.ask("/user/alice/", headers=(*handed_on, *claims)).said["headers"]
    assert headers["host"] == headers["x-forwarded-host"] == ["alice.hub.example.com"]
    assert headers["x-forwarded-for"] == ["192.0.2.7"]
    assert (headers["x-forwarded-proto"], headers["x-forwarded-port"]) == (["https"], ["443"])
    assert not [name for name in headers if name.startswith("x-hubless-") or name == "x-real-ip"]


def test_cloudfront_may_say_that_the_request_was_plain_http(world: World) -> None:
    world.route("/user/alice/", "alice")
    world.started(host_header="x-host")
    headers = world.ask("/user/alice/", headers=("x-host: hub.example.com", "CloudFront-Forwarded-Proto: http")).said[
        "headers"
    ]
    assert (headers["host"], headers["x-forwarded-proto"], headers["x-forwarded-port"]) == (
        ["hub.example.com"],
        ["http"],
        ["80"],
    )
    assert "x-host" not in headers
    bare = world.ask("/user/alice/").said["headers"]
    assert (bare["host"], bare["x-forwarded-for"]) == (["hub.example.org"], ["127.0.0.1"])


def test_without_a_host_header_setting_no_header_replaces_the_host(shared: World) -> None:
    spellings = (
        "x-hubless-host: evil.example",
        "x-hubless-address: 6.6.6.6",
        "X_Hubless_Host: evil.example",
        "X-HUBLESS_PATH: /",
    )
    headers = shared.ask("/user/alice/", headers=spellings).said["headers"]
    assert headers["host"] == ["hub.example.org"]
    assert not [name for name in headers if "hubless" in name]


# --- health ---


def test_it_is_healthy_from_the_first_load_until_it_leaves(world: World) -> None:
    world.route("/user/alice/", "alice")
    world.store.is_away = True
    agent = world.started(health_path="/edge/health")
    assert (world.ask("/edge/health").status, world.ask("/edge/healthy").who) == (503, "API")
    world.store.is_away = False
    agent.run_once()
    assert (world.ask("/edge/health").status, world.ask("/edge/health?x=1").text) == (200, "ready")
    world.store.is_away = True
    agent.run_once()
    assert world.ask("/edge/health").status == 200  # it serves what it knows
    world.store.is_away = False
    agent.drain(0, threading.Event())
    assert (world.ask("/edge/health").status, world.ask("/user/alice/").who) == (503, "alice")
    assert world.routes.reports() == []


def test_the_edge_is_unhealthy_while_the_table_is_away_and_then_recovers(world: World) -> None:
    world.route("/user/alice/", "alice")
    agent = world.started(health_path="/edge/health", unhealthy_after_seconds=0)
    world.store.is_away = True
    agent.run_once()
    agent.run_once()
    assert (world.ask("/edge/health").status, world.ask("/user/alice/").who) == (503, "alice")
    world.routes.remove("/user/alice/", "launch-alice")
    world.store.is_away = False
    agent.run_once()
    assert (world.ask("/edge/health").status, world.ask("/user/alice/").who) == (200, "API")


def test_a_restarted_haproxy_is_unhealthy_until_routes_are_loaded(world: World) -> None:
    agent = world.started(health_path="/edge/health")
    os.kill(agent.haproxy_pid or 0, signal.SIGKILL)
    agent._haproxy._process.wait()  # type: ignore[union-attr]
    world.store.is_away = True
    agent.run_once()
    assert world.ask("/edge/health").status == 503
    world.store.is_away = False
    agent.run_once()
    assert world.ask("/edge/health").status == 200


def test_a_draining_edge_serves_and_reports_activity_but_not_itself(world: World) -> None:
    received: list[Mapping[ServerKey, datetime]] = []
    world.route("/user/alice/", "alice")
    agent = world.started(health_path="/edge/health", report_activity=received.append, activity_seconds=3600)
    agent.run_once()
    world.ask("/user/alice/", "POST", ("Cookie: a=b",))
    cut_short = threading.Event()
    leaving = threading.Thread(target=agent.drain, args=(60, cut_short))
    leaving.start()
    try:
        eventually(lambda: world.ask("/edge/health").status == 503)
        world.route("/user/bob/", "bob")
        eventually(lambda: world.ask("/user/bob/").who == "bob")
        eventually(lambda: received)
        assert world.routes.reports() == []
    finally:
        cut_short.set()
        leaving.join()
    assert set(received[0]) == {ServerKey("s-alice", "u-alice")}


# --- WebSockets ---


def test_a_websocket_survives_300_route_changes(world: World) -> None:
    address = world.web_socket_server()
    world.routes.put(Route("/user/alice/", address, "launch-ws"))
    agent = world.started()
    with world.web_socket("/user/alice/api/kernels/1/channels?session_id=a%2Fb") as channel:
        assert channel.subprotocol == SUBPROTOCOL
        for n in range(300):
            if n % 2:
                world.routes.remove("/user/bob/", "launch-bob")
            else:
                world.route("/user/bob/", "bob")
            if n == 150:
                world.routes.remove("/user/alice/", "launch-ws")
            agent.run_once()
            if n % 50 == 0:
                channel.send(f"message {n}")
                assert channel.recv(timeout=10) == f"message {n}"
        channel.send("x" * 200_000)
        assert channel.recv(timeout=10) == "x" * 200_000
    assert world.ask("/user/alice/").who == "API"


def test_a_silent_websocket_is_closed_after_its_timeout(world: World) -> None:
    world.routes.put(Route("/user/alice/", world.web_socket_server(), "launch-ws"))
    world.started(websocket_timeout_seconds=1)
    with world.web_socket("/user/alice/ws") as channel:
        channel.send("hello")
        assert channel.recv(timeout=10) == "hello"
        with pytest.raises(ConnectionClosed):
            channel.recv(timeout=30)


# --- what goes wrong ---


def test_a_dead_server_gets_a_page_that_retries(world: World) -> None:
    world.routes.put(Route("/user/alice/", f"127.0.0.1:{free_port()}", "launch-1"))
    world.started()
    received = world.ask("/user/alice/lab?x=1")
    assert received.status == 503
    assert received.headers["Refresh"] == "10; url=/hub/user/alice/lab?x=1"
    assert received.headers["Cache-Control"] == "no-store"
    assert "does not answer" in received.text


def test_while_the_api_is_away_a_page_says_so_and_retries(world: World) -> None:
    world.started()
    assert world.ask("/hub/").who == "API"
    world.stop_api()
    connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=20)
    connection.request("GET", "/hub/home")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Refresh"], answer.headers["Retry-After"]) == (503, "3", "3")
    assert b"starting" in answer.read()
    connection.close()
    world.start_api()
    assert world.ask("/hub/home").who == "API"


def test_a_killed_haproxy_is_restarted_with_all_routes(world: World) -> None:
    for name in ("alice", "bob"):
        world.route(f"/user/{name}/", name)
    agent = world.started()
    first = agent.haproxy_pid
    assert first
    os.kill(first, signal.SIGKILL)
    agent._haproxy._process.wait()  # type: ignore[union-attr]
    agent.run_once()
    assert agent.haproxy_pid not in (None, first)
    assert [world.ask(f"/user/{name}/").who for name in ("alice", "bob", "x")] == ["alice", "bob", "API"]


def test_haproxy_outlives_its_agent_and_is_adopted(world: World) -> None:
    world.routes.put(Route("/user/alice/", world.web_socket_server(), "launch-ws"))
    first = world.started()
    with world.web_socket("/user/alice/channels") as channel:
        world.abandon_agents()
        world.route("/user/bob/", "bob")
        assert world.ask("/hub/").who == "API"
        second = world.started()
        assert second.haproxy_pid == first.haproxy_pid
        channel.send("still here")
        assert channel.recv(timeout=10) == "still here"
        assert world.ask("/user/bob/").who == "bob"


def test_an_adopted_haproxy_that_dies_is_restarted(world: World) -> None:
    world.route("/user/alice/", "alice")
    first = world.started()
    world.abandon_agents()
    second = world.started()
    assert second.haproxy_pid == first.haproxy_pid
    os.kill(second.haproxy_pid or 0, signal.SIGKILL)
    first._haproxy._process.wait()  # type: ignore[union-attr]
    second.run_once()
    assert second.haproxy_pid != first.haproxy_pid
    assert world.ask("/user/alice/").who == "alice"


@pytest.fixture
def package(world: World, haproxy: HAProxyBinary, tmp_path: Path) -> Installed:
    """Install the version of the test's *haproxy*, and have the edge run it."""
    installed = Installed(tmp_path)
    installed.install(next(version for version in VERSIONS if f"version {version}." in haproxy.version()))
    world.haproxy = installed.binary
    return installed


@pytest.mark.parametrize("version", VERSIONS)
def test_an_updated_haproxy_takes_over_and_the_old_one_drains(world: World, package: Installed, version: str) -> None:
    world.routes.put(Route("/user/alice/", world.web_socket_server(), "launch-ws"))
    world.route("/user/bob/", "bob")
    first = world.started(health_path="/health")
    with (
        world.web_socket("/user/alice/channels") as channel,
        socket.create_connection(("127.0.0.1", world.port), 20) as upload,
    ):
        upload.sendall(b"POST /user/bob/x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nConnection: close\r\n\r\n01234")
        world.abandon_agents()
        package.install(version)
        second = world.started(health_path="/health")
        assert second.haproxy_pid != first.haproxy_pid
        assert version in second._haproxy.runtime.command("show info")
        assert (world.ask("/user/bob/").who, world.ask("/health").status) == ("bob", 200)
        upload.sendall(b"56789")
        answer = http.client.HTTPResponse(upload)
        answer.begin()
        assert json.loads(answer.read())["body"] == "0123456789"
        channel.send("still here")
        assert channel.recv(timeout=10) == "still here"
        world.route("/user/carol/", "carol")
        second.run_once()
        assert world.ask("/user/carol/").who == "carol"
    eventually(lambda: not first._haproxy.is_alive())
    world.route("/user/dave/", "dave")
    second.run_once()
    assert world.ask("/user/dave/").who == "dave"


def test_an_updated_haproxy_has_the_routes_before_the_table_is_read(world: World, package: Installed) -> None:
    world.route("/user/bob/", "bob")
    world.started()
    world.abandon_agents()
    package.install("2.8")
    world.store.is_away = True
    world.started()
    assert world.ask("/user/bob/").who == "bob"


def test_an_updated_haproxy_that_does_not_start_leaves_the_old_one(world: World, package: Installed) -> None:
    world.route("/user/bob/", "bob")
    first = world.started()
    world.abandon_agents()
    package.install("2.8")
    package.binary.program.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    second = world.started()
    assert second.haproxy_pid == first.haproxy_pid
    world.route("/user/carol/", "carol")
    second.run_once()
    assert [world.ask(f"/user/{name}/").who for name in ("bob", "carol")] == ["bob", "carol"]


def test_another_configuration_ends_the_old_haproxy(world: World) -> None:
    first = world.started()
    world.abandon_agents()
    world.port = free_port()
    second = world.started()
    assert second.haproxy_pid != first.haproxy_pid
    eventually(lambda: not first._haproxy.is_alive())
    assert world.ask("/hub/").who == "API"


def test_another_configuration_keeps_open_websockets_and_routes(world: World) -> None:
    world.routes.put(Route("/user/alice/", world.web_socket_server(), "launch-ws", ServerKey("s-1", "u-1")))
    first = world.started()
    with world.web_socket("/user/alice/terminals") as channel:
        eventually(lambda: world.ask("/hub/").who == "API")
        world.abandon_agents()
        world.store.is_away = True
        second = world.started(request_seconds=14)
        assert second.haproxy_pid != first.haproxy_pid
        with world.web_socket("/user/alice/channels") as other:
            for one in (channel, other):
                one.send("still here")
                assert one.recv(timeout=10) == "still here"
        assert first._haproxy.is_alive()


def test_a_replaced_haproxys_websockets_keep_their_servers_in_use(world: World) -> None:
    world.routes.put(Route("/user/alice/", world.web_socket_server(), "launch-ws", ServerKey("s-1", "u-1")))
    first = world.started()
    with world.web_socket("/user/alice/vscode/stable-1", headers={"Cookie": "key=alices"}) as channel:
        channel.send("hello")
        channel.recv(timeout=10)
        world.abandon_agents()
        second = world.started(request_seconds=14)
        assert second._haproxy.held_servers() == ["u-1:s-1"]
    eventually(lambda: not first._haproxy.is_alive())
    assert second._haproxy.held_servers() == []


@pytest.mark.parametrize("is_replaced", [False, True], ids=["before", "after"])
def test_an_agent_that_dies_beside_a_replacement_loses_no_open_websocket(
    world: World, monkeypatch: pytest.MonkeyPatch, *, is_replaced: bool
) -> None:
    world.routes.put(Route("/user/alice/", world.web_socket_server(), "launch-ws", ServerKey("s-1", "u-1")))
    first = world.started()
    run = HAProxyProcess._run

    def die(self: HAProxyProcess, *more: str) -> None:
        if is_replaced:
            run(self, *more)
        raise KeyboardInterrupt

    with world.web_socket("/user/alice/vscode/stable-1", headers={"Cookie": "key=alices"}) as channel:
        channel.send("hello")
        channel.recv(timeout=10)
        world.abandon_agents()
        with monkeypatch.context() as dying:
            dying.setattr(HAProxyProcess, "_run", die)
            with pytest.raises(KeyboardInterrupt):
                world.agent(request_seconds=14).start()
        if is_replaced:
            world.abandon_agents()
        else:
            world.agents.clear()
        second = world.started(request_seconds=14 if is_replaced else first._edge.request_seconds)
        assert (second.haproxy_pid != first.haproxy_pid) is is_replaced
        assert second._haproxy.held_servers() == (["u-1:s-1"] if is_replaced else [])


def test_a_replacement_under_load_loses_no_request_and_no_websocket(world: World) -> None:
    world.routes.put(Route("/user/alice/", world.web_socket_server(), "launch-ws"))
    world.route("/user/bob/", "bob")
    world.started()
    answers, is_over = list[str](), threading.Event()

    def ask_anew() -> None:
        while not is_over.is_set():
            answers.append(world.ask("/user/bob/").who)

    def ask_on_one_connection() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=20)
        while not is_over.is_set():
            connection.request("GET", "/user/bob/")
            answers.append(str(json.loads(connection.getresponse().read())["who"]))
        connection.close()

    with ThreadPoolExecutor(4) as people, ExitStack() as open_:
        open_.callback(is_over.set)
        asking = [people.submit(ask) for ask in (ask_anew, ask_on_one_connection) * 2]
        channels = [open_.enter_context(world.web_socket("/user/alice/channels")) for _ in range(50)]
        for seconds in (14, 13):
            before = len(answers)
            eventually(lambda before=before: len(answers) > before + 50)  # type: ignore[misc]
            world.abandon_agents()
            world.started(request_seconds=seconds)
        before = len(answers)
        eventually(lambda: len(answers) > before + 50)
        is_over.set()
        for one in asking:
            one.result()  # raises if a request was lost
        for channel in channels:
            channel.send("still here")
            assert channel.recv(timeout=10) == "still here"
    assert set(answers) == {"bob"}


def test_a_haproxy_whose_socket_is_gone_is_replaced_and_keeps_websockets(world: World) -> None:
    world.routes.put(Route("/user/alice/", world.web_socket_server(), "launch-ws"))
    world.route("/user/bob/", "bob")
    agent = world.started(report_activity=lambda _: None, activity_seconds=0)
    first = agent.haproxy_pid
    with world.web_socket("/user/alice/channels") as channel:
        (world.folder / "e/edge.sock").unlink()
        eventually(lambda: (agent.run_once(), agent.haproxy_pid != first)[1])
        agent.run_once()
        assert [world.ask("/user/bob/").who for _ in range(20)] == ["bob"] * 20
        channel.send("still here")
        assert channel.recv(timeout=10) == "still here"


def test_the_next_agent_replaces_a_haproxy_without_socket_and_pid_file(world: World) -> None:
    world.route("/user/bob/", "bob")
    first = world.started()
    world.abandon_agents()
    for name in ("edge.sock", "haproxy.pid"):
        (world.folder / "e" / name).unlink()
    second = world.started()
    assert second.haproxy_pid != first.haproxy_pid
    assert world.ask("/user/bob/").who == "bob"
    eventually(lambda: not first._haproxy.is_alive())


def test_a_haproxy_that_hangs_is_killed_and_replaced(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.route("/user/bob/", "bob")
    agent = world.started(heartbeat_seconds=0)
    first = agent.haproxy_pid
    assert first
    os.kill(first, signal.SIGSTOP)
    with monkeypatch.context() as impatient:
        impatient.setattr("edge_proxy.runtime_api.TIMEOUT_SECONDS", 0.1)
        impatient.setattr("edge_proxy.agent.SILENT_SECONDS", 0.3)
        eventually(lambda: (agent.run_once(), agent.haproxy_pid != first)[1])
    eventually(lambda: (agent.run_once(), world.ask("/user/bob/").who == "bob")[1])  # the new one may have been slow
    assert [world.ask("/user/bob/").who for _ in range(20)] == ["bob"] * 20
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_one_late_answer_of_haproxy_replaces_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = world.started(heartbeat_seconds=0)
    first = agent.haproxy_pid
    assert first
    for _ in range(2):
        os.kill(first, signal.SIGSTOP)
        with monkeypatch.context() as impatient:
            impatient.setattr("edge_proxy.runtime_api.TIMEOUT_SECONDS", 0.1)
            agent.run_once()
        os.kill(first, signal.SIGCONT)
        agent.run_once()
    agent.run_once()
    assert agent.haproxy_pid == first


def test_a_port_in_use_is_named(world: World) -> None:
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", world.port))
        taker.listen()
        with pytest.raises(EdgeError, match=rf"{world.port}"):
            world.agent().start()


def test_a_closed_edge_leaves_nothing_running(world: World) -> None:
    agent = world.started()
    pid = agent.haproxy_pid
    agent.close()
    assert agent.haproxy_pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid or 0, 0)
    with pytest.raises(ConnectionRefusedError):
        world.ask("/")
    agent.close()


def test_the_runtime_socket_is_for_its_owner_alone(world: World) -> None:
    world.started()
    assert (world.folder / "e").stat().st_mode & 0o077 == 0
    assert (world.folder / "e" / "edge.sock").stat().st_mode & 0o077 == 0


# --- activity ---


class Guarded(Echo):
    """Answers as a user's server does: a page or JSON for who has the cookie, public files for everybody."""

    def _answer(self) -> None:
        path = self.requestline.split(" ")[1]
        if self.headers.get("Cookie") != "key=alices" and "/static/" not in path:
            self._say(403 if "/api/" in path or self.command != "GET" else 302, "text/html")
        elif "?" in path:
            self._say(int(path.partition("?")[2]), "text/html")
        else:
            self._say(200, "text/html" if path.endswith("/lab") else "image/png")

    def _say(self, status: int, content_type: str) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(status)
        if self.path.endswith("/files/data.csv"):
            self.send_header("Content-Disposition", "attachment")
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _answer


KEY, FOREIGN = "Cookie: key=alices", "Cookie: key=mallorys"
NAVIGATE, FETCH, ACCEPT = "Sec-Fetch-Mode: navigate", "Sec-Fetch-Mode: cors", "Accept: text/html,*/*"


class Seen:
    """An edge before servers, and what it reports about them."""

    def __init__(self, world: World) -> None:
        self.world, self._received = world, list[Mapping[ServerKey, datetime]]()
        self.agent = world.started(report_activity=self._received.append, activity_seconds=0)

    def server(self, name: str) -> None:
        self.world.server(name, Guarded)
        self.world.route(f"/user/{name}/", name)
        self.agent.run_once()

    def names(self) -> set[str]:
        self.agent.run_once()
        return {key.server_id.removeprefix("s-") for seen in self._received for key in seen}


NUMBERS = itertools.count()
ACCESS_LOG = {"access_log": True, "host_header": "x-hubless-host"}


class Access:
    """An edge behind CloudFront that logs who reached which server."""

    def __init__(self, world: World, logged: pytest.LogCaptureFixture) -> None:
        self.world, self._logged = world, logged
        world.server("alice", Guarded)
        world.route("/user/alice/", "alice")
        self.agent = world.started(**ACCESS_LOG)

    def ask(self, path: str, method: str, headers: tuple[str, ...]) -> None:
        self.world.ask(path, method, ("x-hubless-address: 203.0.113.9", *headers))

    @property
    def text(self) -> str:
        return self._logged.text

    def lines(self, count: int) -> list[dict[str, Any]]:
        """Return the lines so far, once there are *count* of them."""
        eventually(lambda: len(self._messages()) >= count)
        return [json.loads(message.removeprefix("access: ")) for message in self._messages()]

    def _messages(self) -> list[str]:
        return [one.getMessage() for one in self._logged.records if one.name == "edge_proxy.access_log"]


@pytest.fixture
def seen(world: World) -> Seen:
    return Seen(world)


class Newcomer:
    """A user whose server nobody has used yet, at an edge that others share."""

    def __init__(self, seen: Seen, name: str) -> None:
        self._seen, self._name, self.key = seen, name, ServerKey(f"s-{name}", f"u-{name}")
        address = seen.world.server("all", Guarded)
        seen.world.routes.put(Route(f"/user/{name}/", address, f"launch-{name}", self.key))
        seen.agent.run_once()

    def ask(self, path: str, method: str, headers: tuple[str, ...]) -> None:
        self._seen.world.ask(f"/user/{self._name}/{path}", method, headers)

    def is_active(self) -> bool:
        return self._name in self._seen.names()


@pytest.fixture(scope="module")
def seen_by_all(unstarted: Callable[[], World]) -> Seen:
    return Seen(unstarted())


@pytest.fixture
def newcomer(seen_by_all: Seen) -> Newcomer:
    return Newcomer(seen_by_all, f"newcomer-{next(NUMBERS)}")


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "lab", (NAVIGATE,)),
        ("GET", "lab", (ACCEPT,)),  # over plain http
        ("GET", "files/data.csv", (NAVIGATE,)),
        ("GET", "lab?304", (NAVIGATE,)),
        ("PUT", "api/contents/a.ipynb", (FETCH,)),
        ("POST", "named/api/kernels?201", (FETCH,)),
        ("DELETE", "api/sessions/1?204", ()),
        ("PUT", "api/contents/static/a.ipynb", (FETCH,)),  # somebody's own folder
        ("PUT", "named/api/contents/login", (FETCH,)),
        ("POST", "api/contents/lab/api/workspaces/x", (FETCH,)),
        ("PATCH", "api/lab/static", ()),
        ("POST", "rstudio/events/get_events", (FETCH,)),  # nothing else shows whether R computes
    ],
)
def test_a_page_or_a_change_by_who_gets_in_is_activity(
    newcomer: Newcomer, seen_by_all: Seen, method: str, path: str, headers: tuple[str, ...]
) -> None:
    assert not newcomer.is_active()
    before = datetime.now(UTC)
    newcomer.ask(path, method, (KEY, *headers))
    assert newcomer.is_active()
    at = seen_by_all.agent._activity.last_seen()[newcomer.key]  # type: ignore[union-attr]
    assert abs((at - before).total_seconds()) < 60


def test_what_anybody_may_ask_is_no_activity(world: World, seen: Seen) -> None:
    seen.server("alice")
    for who in ((), (FOREIGN,), ("Authorization: token mallorys",)):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            for mode in (NAVIGATE, ACCEPT):
                for path in ("", "lab", "api/contents/a", "static/logo.png", "lab?token=mallorys"):
                    assert world.ask(f"/user/alice/{path}", method, (*who, mode)).status < 500
    # A file that is public outside the table: nobody who shows no credential got in, and pages are HTML.
    world.ask("/user/alice/app/static/x.html", headers=(NAVIGATE,))
    assert seen.names() == set()


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "api/kernels", (FETCH,)),
        ("GET", "api/kernels", (NAVIGATE,)),  # no page, and no file to keep
        ("GET", "lab", (FETCH, ACCEPT)),
        ("GET", "static/index.html", (NAVIGATE,)),
        ("GET", "%73tatic/lab", (NAVIGATE,)),
        ("PUT", "lab/api/workspaces/default", (FETCH,)),
        ("PUT", "named/lab/api/workspaces/auto-Q", (FETCH,)),
        ("PUT", "lab/api/workspaces/a%20b%2Fc?204", (FETCH,)),
        ("POST", "api/security/csp-report", ()),
        ("GET", "lab?302", (NAVIGATE,)),
        ("GET", "lab?404", (NAVIGATE,)),
        ("GET", "lab?500", (NAVIGATE,)),
        ("POST", "api/sessions?403", ()),
        ("POST", "api/sessions?401", ()),
        ("POST", "api/sessions?503", ()),
    ],
)
def test_what_tabs_ask_and_what_fails_is_no_activity(
    newcomer: Newcomer, method: str, path: str, headers: tuple[str, ...]
) -> None:
    newcomer.ask(path, method, (KEY, *headers))
    assert not newcomer.is_active()


def test_a_server_that_does_not_answer_is_not_active(world: World, seen: Seen) -> None:
    world.routes.put(Route("/user/alice/", f"127.0.0.1:{free_port()}", "launch-1", ServerKey("s-alice", "u-alice")))
    seen.agent.run_once()
    assert world.ask("/user/alice/lab", headers=(KEY, NAVIGATE)).status == 503
    assert seen.names() == set()


def test_the_hubs_own_look_at_kernels_is_no_activity(world: World, seen: Seen) -> None:
    world.route("/user/alice/", "alice")
    seen.agent.run_once()
    inspector = HttpInspector(lambda _server, _prefix: f"http://127.0.0.1:{world.port}", SystemClock())
    found = inspector.inspect(a_server(), "/user/alice/", "token-of-the-launch")
    assert found is NoAnswer.NOT_JUPYTER  # the server only says what it was asked
    assert seen.names() == set()


def test_a_services_requests_are_no_servers_activity(world: World, seen: Seen) -> None:
    world.server("service", Guarded)
    world.routes.put(Route("/services/s/", world.server("service"), "service:/services/s/"))
    seen.agent.run_once()
    assert world.ask("/services/s/lab", "POST", (KEY,)).status == 200
    assert seen.names() == set()


@pytest.mark.parametrize(
    "path", ["api/kernels/1/channels", "terminals/websocket/1", "api/events/subscribe", "named/lsp/ws/pylsp"]
)
def test_a_websocket_that_opens_by_itself_is_no_activity(world: World, seen: Seen, path: str) -> None:
    for prefix in ("/user/alice/", "/user/alice/named/"):
        world.routes.put(Route(prefix, world.web_socket_server(), "l", ServerKey("s-alice", "u-alice")))
    seen.agent.run_once()
    with world.web_socket(f"/user/alice/{path}", headers={"Cookie": "key=alices"}) as channel:
        channel.send("hello")
        channel.recv(timeout=10)
        assert seen.names() == set()
    assert seen.names() == set()


@pytest.mark.parametrize("path", ["vscode/stable-1", "voila/api/kernels/1/channels"])
def test_an_open_websocket_of_another_program_is_activity(world: World, seen: Seen, path: str) -> None:
    alice = ServerKey("s-alice", "u-alice")
    world.routes.put(Route("/user/alice/", world.web_socket_server(), "l", alice))
    seen.agent.run_once()
    last_seen = seen.agent._activity.last_seen  # type: ignore[union-attr]
    with world.web_socket(f"/user/alice/{path}", headers={"Cookie": "key=alices"}) as channel:
        channel.send("hello")
        channel.recv(timeout=10)
        assert seen.names() == {"alice"}
        opened = last_seen()[alice]
        eventually(lambda: last_seen()[alice] > opened + timedelta(seconds=0.2))
    eventually(lambda: not seen.agent._haproxy.runtime.connected("sockets"))


def test_a_named_servers_own_sockets_are_known_at_its_owners_host_too(world: World) -> None:
    received: list[Mapping[ServerKey, datetime]] = []
    for prefix in ("/user/carol/", "/user/carol/named/"):
        world.routes.put(Route(prefix, world.web_socket_server(), "l", ServerKey("s", "u")))
    agent = world.started(domain="hub.example.org", report_activity=received.append, activity_seconds=0)
    for program, count in (("named", 0), ("voila", 1)):
        path = f"/user/carol/{program}/api/kernels/1/channels"
        with world.web_socket(path, host="carol.hub.example.org", headers={"Cookie": "key=carols"}) as line:
            line.send("hello")
            line.recv(timeout=10)
            agent.run_once()
        assert len(received) == count


def test_activity_belongs_to_the_server_and_not_to_its_address(world: World) -> None:
    received: list[Mapping[ServerKey, datetime]] = []
    address, alice, bob = world.server("task"), ServerKey("s1", "u1"), ServerKey("s2", "u2")
    world.routes.put(Route("/user/alice/", address, "l1", alice))
    agent = world.started(report_activity=received.append, activity_seconds=0)
    world.ask("/user/alice/api/x", "POST", (KEY,))
    world.routes.remove("/user/alice/", "l1")
    world.routes.put(Route("/user/bob/", address, "l2", bob))
    agent.run_once()
    assert [set(seen) for seen in received] == [{alice}]
    world.ask("/user/bob/api/x", "POST", (KEY,))
    agent.run_once()
    assert set(received[-1]) == {bob}


@pytest.mark.parametrize("api", [None, UnixSocket(Path("/run/api.sock"))])
def test_haproxy_accepts_the_configuration_without_a_warning(
    tmp_path: Path, api: UnixSocket | None, haproxy: HAProxyBinary
) -> None:
    edge = EdgeConfiguration(
        "127.0.0.1", 8000, api, tmp_path, domain="hub.example.org", host_header="x-hubless-host", health_path="/health"
    )
    for file, text in {**referenced_files(edge), edge.file: render(edge)}.items():
        file.write_text(text)
    received = subprocess.run([haproxy.program, "-c", "-f", edge.file], capture_output=True, text=True, check=True)
    assert "WARNING" not in received.stdout + received.stderr


# --- the access log ---


@pytest.fixture
def access(world: World, caplog: pytest.LogCaptureFixture) -> Iterator[Access]:
    caplog.set_level(logging.INFO, "edge_proxy.access_log")
    found = Access(world, caplog)
    yield found
    found.agent.close()


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "lab", (KEY, NAVIGATE), 200),
        ("PUT", "api/contents/salaries.ipynb", (KEY, FETCH), 200),
        ("GET", "lab", (FOREIGN, NAVIGATE), 302),  # sent to the hub to log in
        ("GET", "api/contents/salaries.ipynb", (KEY,), 200),  # a program with somebody's key
    ],
)
def test_the_access_log_says_who_reached_which_server(
    access: Access, method: str, path: str, headers: tuple[str, ...], status: int
) -> None:
    access.ask(f"/user/alice/{path}", method, headers)

    (line,) = access.lines(1)
    assert line.pop("milliseconds") >= 0
    assert line.pop("bytes") > 0
    assert line == {
        "address": "203.0.113.9",
        "prefix": "/user/alice",
        "owner": "u-alice",
        "server": "s-alice",
        "method": method,
        "status": status,
    }


def test_the_access_log_holds_no_query_cookie_or_file_name(access: Access) -> None:
    access.ask("/user/alice/files/salaries.csv?token=5ec2e7", "GET", (KEY, NAVIGATE))

    access.lines(1)
    assert not any(secret in access.text for secret in ("5ec2e7", "alices", "salaries"))


def test_what_tabs_ask_by_themselves_is_not_in_the_access_log(access: Access) -> None:
    access.ask("/user/alice/api/terminals", "GET", (KEY, FETCH))
    access.ask("/hub/home", "GET", (KEY, NAVIGATE))
    access.ask("/user/alice/lab", "GET", (KEY, NAVIGATE))

    assert [line["status"] for line in access.lines(1)] == [200]


def test_no_name_forges_a_line_of_the_access_log(access: Access) -> None:
    name = 'a"},\n{"address":"192.0.2.1\u202e'
    access.world.route(f"/user/{name}/", "alice")
    access.agent.run_once()

    access.ask(f"/user/{quote(name, safe='')}/lab", "GET", (KEY, NAVIGATE))

    (line,) = access.lines(1)
    assert (line["address"], line["prefix"]) == ("203.0.113.9", f"/user/{name}")


def test_another_agent_takes_the_access_log_over(access: Access) -> None:
    access.world.abandon_agents()
    access.agent = access.world.started(**ACCESS_LOG)

    access.ask("/user/alice/lab", "GET", (KEY, NAVIGATE))

    assert len(access.lines(1)) == 1

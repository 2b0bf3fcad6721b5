"""Hosts that routes name are looked up now and then, and only those."""

import socket
import threading

import pytest

from edge_proxy.host_resolver import HostResolver
from hubless.domain.routes import ServerKey
from tests.support.concurrency import eventually

GRADER = "/services/grader/"
TO_GRADER = "grader.example.org:8000"


class Dns:
    """Says where hosts are, or raises the given error."""

    def __init__(self, **hosts: str | Exception) -> None:
        self.hosts: dict[str, str | Exception] = {"grader.example.org": "10.0.0.1"} | hosts
        self.asked: list[str] = []

    def __call__(self, host: str) -> str:
        self.asked.append(host)
        found = self.hosts[host]
        if isinstance(found, Exception):
            raise found
        return found


NO_SUCH, NOBODY_KNOWS = socket.gaierror(socket.EAI_NONAME, "no such"), socket.gaierror(socket.EAI_AGAIN, "away")


def moved(resolver: HostResolver) -> list[tuple[str, str | None]]:
    """Return what has moved, once a whole look has been made since now."""
    found: list[tuple[str, str | None]] = []
    for _ in range(2):
        eventually(lambda: not resolver._results.empty() or not resolver._is_looking_up)
        found += [(named.prefix, named.address) for named in resolver.changed_routes()]
        eventually(lambda: not resolver._results.empty() or not resolver._is_looking_up)
    found += [(named.prefix, named.address) for named in resolver.changed_routes()]
    return found


def test_an_address_is_not_looked_up() -> None:
    dns = Dns()
    resolver = HostResolver(dns, interval_seconds=0)
    assert resolver.resolve("/user/alice/", "10.1.2.3:8888", ServerKey("s", "u")) == "10.1.2.3:8888"
    assert moved(resolver) == []
    assert dns.asked == []
    assert resolver._routes == {}


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".org", "a\0b", "é" * 70, "::1"])
def test_an_invalid_host_name_has_no_address(host: str) -> None:
    assert HostResolver().resolve(GRADER, f"{host}:80", None) is None


def test_a_host_that_moves_changes_its_route_once() -> None:
    dns = Dns()
    resolver = HostResolver(dns, interval_seconds=0)
    assert resolver.resolve(GRADER, TO_GRADER, None) == "10.0.0.1:8000"
    assert moved(resolver) == []
    dns.hosts["grader.example.org"] = "10.0.0.2"
    assert moved(resolver) == [(GRADER, "10.0.0.2:8000")]
    assert moved(resolver) == []


def test_a_host_that_appears_gets_its_route() -> None:
    dns = Dns(**{"grader.example.org": NO_SUCH})
    resolver = HostResolver(dns, interval_seconds=0)
    assert resolver.resolve(GRADER, TO_GRADER, None) is None
    dns.hosts["grader.example.org"] = "10.0.0.2"
    assert moved(resolver) == [(GRADER, "10.0.0.2:8000")]


def test_a_deleted_host_loses_its_route_and_one_without_dns_keeps_it() -> None:
    dns = Dns()
    resolver = HostResolver(dns, interval_seconds=0)
    resolver.resolve(GRADER, TO_GRADER, None)
    dns.hosts["grader.example.org"] = NOBODY_KNOWS
    assert moved(resolver) == []
    resolver.clear()
    assert resolver.resolve(GRADER, TO_GRADER, None) == "10.0.0.1:8000"  # also after a full reload
    dns.hosts["grader.example.org"] = NO_SUCH
    assert moved(resolver) == [(GRADER, None)]


def test_two_prefixes_of_one_host_both_follow_it() -> None:
    dns = Dns()
    resolver = HostResolver(dns, interval_seconds=0)
    resolver.resolve(GRADER, TO_GRADER, None)
    dns.hosts["grader.example.org"] = "10.0.0.2"
    assert resolver.resolve("/services/other/", "grader.example.org:9000", None) == "10.0.0.2:9000"
    assert moved(resolver) == [(GRADER, "10.0.0.2:8000")]


def test_forgotten_hosts_are_not_looked_up() -> None:
    dns = Dns()
    resolver = HostResolver(dns, interval_seconds=0)
    resolver.resolve(GRADER, TO_GRADER, None)
    resolver.resolve("/services/other/", TO_GRADER, None)
    resolver.forget(GRADER)
    resolver.resolve("/services/other/", "10.0.0.9:1", None)
    dns.asked.clear()
    assert moved(resolver) == []
    assert dns.asked == []


def test_a_slow_dns_delays_nothing_and_runs_once_at_a_time() -> None:
    answers, asked = threading.Event(), list[str]()

    def slow(host: str) -> str:
        asked.append(host)
        if len(asked) > 1:
            answers.wait(60)
        return f"10.0.0.{len(asked)}"

    resolver = HostResolver(slow, interval_seconds=0)
    resolver.resolve(GRADER, TO_GRADER, None)
    for _ in range(5):
        assert resolver.changed_routes() == []
    eventually(lambda: len(asked) == 2)
    assert resolver.changed_routes() == []
    answers.set()
    assert [named.address for named in eventually(resolver.changed_routes)] == ["10.0.0.2:8000"]


def test_lookups_keep_their_interval() -> None:
    dns = Dns()
    resolver = HostResolver(dns, interval_seconds=3600)
    resolver.resolve(GRADER, TO_GRADER, None)
    assert resolver.changed_routes() == []
    assert not resolver._is_looking_up

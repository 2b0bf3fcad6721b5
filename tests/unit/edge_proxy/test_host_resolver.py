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
    """Says where hosts are, or raises what it is told to."""

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
def test_what_cannot_be_a_hosts_name_leads_nowhere(host: str) -> None:
    assert HostResolver().resolve(GRADER, f"{host}:80", None) is None


def test_a_name_that_moves_is_followed_and_one_that_stays_is_no_news() -> None:
    dns = Dns()
    resolver = HostResolver(dns, interval_seconds=0)
    assert resolver.resolve(GRADER, TO_GRADER, None) == "10.0.0.1:8000"
    assert moved(resolver) == []
    dns.hosts["grader.example.org"] = "10.0.0.2"
    assert moved(resolver) == [(GRADER, "10.0.0.2:8000")]
    assert moved(resolver) == []


def test_a_name_that_comes_to_be_is_followed() -> None:
    dns = Dns(**{"grader.example.org": NO_SUCH})
    resolver = HostResolver(dns, interval_seconds=0)
    assert resolver.resolve(GRADER, TO_GRADER, None) is None
    dns.hosts["grader.example.org"] = "10.0.0.2"
    assert moved(resolver) == [(GRADER, "10.0.0.2:8000")]


def test_a_name_that_is_no_more_leads_nowhere_and_while_nobody_can_tell_it_leads_where_it_did() -> None:
    dns = Dns()
    resolver = HostResolver(dns, interval_seconds=0)
    resolver.resolve(GRADER, TO_GRADER, None)
    dns.hosts["grader.example.org"] = NOBODY_KNOWS
    assert moved(resolver) == []
    resolver.clear()
    assert resolver.resolve(GRADER, TO_GRADER, None) == "10.0.0.1:8000"  # also where all is loaded anew
    dns.hosts["grader.example.org"] = NO_SUCH
    assert moved(resolver) == [(GRADER, None)]


def test_two_prefixes_of_one_host_both_follow_it() -> None:
    dns = Dns()
    resolver = HostResolver(dns, interval_seconds=0)
    resolver.resolve(GRADER, TO_GRADER, None)
    dns.hosts["grader.example.org"] = "10.0.0.2"
    assert resolver.resolve("/services/other/", "grader.example.org:9000", None) == "10.0.0.2:9000"
    assert moved(resolver) == [(GRADER, "10.0.0.2:8000")]


def test_what_is_routed_no_more_or_by_its_address_is_not_looked_up() -> None:
    dns = Dns()
    resolver = HostResolver(dns, interval_seconds=0)
    resolver.resolve(GRADER, TO_GRADER, None)
    resolver.resolve("/services/other/", TO_GRADER, None)
    resolver.forget(GRADER)
    resolver.resolve("/services/other/", "10.0.0.9:1", None)
    dns.asked.clear()
    assert moved(resolver) == []
    assert dns.asked == []


def test_a_look_that_takes_long_holds_up_nobody_and_there_is_one_at_a_time() -> None:
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


def test_looks_are_some_time_apart() -> None:
    dns = Dns()
    resolver = HostResolver(dns, interval_seconds=3600)
    resolver.resolve(GRADER, TO_GRADER, None)
    assert resolver.changed_routes() == []
    assert not resolver._is_looking_up

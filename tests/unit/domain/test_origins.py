import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubless.domain.names import normalise_user_name
from hubless.domain.origins import (
    Origins,
    host_of_route,
    is_domain,
    service_label,
    user_label,
)

HUB = Origins("https://hub.example.org", subdomains=True)
NAMES = st.one_of(
    st.text(min_size=1, max_size=80),
    st.text("abé-_.0ßx", min_size=1, max_size=6),
    st.from_regex(r"(xn--|u-)?[a-z0-9é-]{1,8}(--service|--[a-z2-7]{26})?", fullmatch=True),
).map(normalise_user_name)
WRITTEN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("alice", "alice"),
        ("a-b", "a-b"),
        ("x1", "x1"),
        ("x" * 63, "x" * 63),
        ("josé", "xn--jos-dma"),
        ("名前", "xn--ldr85b"),
        ("שלום", "xn--9dbne9b"),
    ],
)
def test_a_label_is_jupyterhubs_where_that_is_safe(name, label):
    assert user_label(name) == label
    assert len(service_label(name)) <= 63


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("bob@example.org", "u-bobexamp--"),
        ("a_b", "u-ab--"),
        ("a.b", "u-ab--"),
        ("1234567", "u-1234567--"),
        ("-x", "u-x--"),
        ("a--b", "u-ab--"),
        ("xn--jos-dma", "u-xnjosdma--"),
        ("Alice", "u-alice--"),
        ("x" * 64, "u-xxxxxxxx--"),
        ("☃", "u-x--"),
        ("straße", "u-strae--"),
        ("www", "u-www--"),
        ("مرحبا١", "u-x--"),
        ("\uff46ull", "u-ull--"),
        ("..", "u-x--"),
    ],
)
def test_any_other_name_becomes_a_long_hash(name, shown):
    assert re.fullmatch(re.escape(shown) + "[a-z2-7]{26}", user_label(name))


@settings(max_examples=60)
@given(NAMES)
def test_every_label_is_valid_in_dns(name):
    for label in (user_label(name), service_label(name)):
        assert WRITTEN.fullmatch(label)
        assert len(label) <= 63
        assert label[2:4] != "--" or label.startswith("xn--")


@settings(max_examples=60)
@given(NAMES, NAMES)
def test_labels_of_two_names_never_collide(one, other):
    assert (user_label(one) == user_label(other)) == (one == other)
    assert (service_label(one) == service_label(other)) == (one == other)
    assert user_label(one) != service_label(re.sub(r"[^A-Za-z0-9._~-]", "x", other))


def test_names_that_collide_in_jupyterhub_have_two_labels():
    assert len({user_label(name) for name in ("strasse", "straße", "alice", "Alice", "ﬁ", "fi")}) == 6


@pytest.mark.parametrize(
    ("prefix", "host"),
    [
        ("/user/alice/", "alice.hub.example.org"),
        ("/user/alice/lab/", "alice.hub.example.org"),
        ("/user/a%41/", f"{user_label('a%41')}.hub.example.org"),
        ("/services/grades/", "grades--service.hub.example.org"),
        ("/", "hub.example.org"),
        ("/user/", "hub.example.org"),
        ("/users/alice/", "hub.example.org"),
    ],
)
def test_a_route_is_served_at_its_owners_host_only(prefix, host):
    assert host_of_route(prefix, "hub.example.org") == host
    assert host_of_route(prefix, "") == ""


def test_links_have_the_owners_host_and_the_hubs_pages_are_paths():
    assert HUB.link_to("/user/alice/lab?a=/user/bob/") == "https://alice.hub.example.org/user/alice/lab?a=/user/bob/"
    assert HUB.link_to("/user/jos%C3%A9/") == "https://xn--jos-dma.hub.example.org/user/jos%C3%A9/"
    assert HUB.link_to("/services/grades/") == "https://grades--service.hub.example.org/services/grades/"
    assert HUB.link_to("/user/alice#/lab") == "https://alice.hub.example.org/user/alice#/lab"
    assert HUB.link_to("/user/alice?x#y") == "https://alice.hub.example.org/user/alice?x#y"
    assert HUB.link_to("/hub/home") == "/hub/home"
    assert HUB.absolute_url("/hub/home") == "https://hub.example.org/hub/home"
    assert HUB.absolute_url("/user/alice/") == HUB.link_to("/user/alice/")


def test_a_port_is_kept_unless_it_is_the_default():
    assert (
        Origins("http://hub.localhost:8000", subdomains=True).link_to("/user/a/")
        == "http://a.hub.localhost:8000/user/a/"
    )
    assert Origins("https://hub.org:443", subdomains=True).link_to("/user/a/") == "https://a.hub.org/user/a/"


@pytest.mark.parametrize("shared", [Origins(), Origins("https://hub.example.org")])
def test_links_are_paths_with_one_host_for_all(shared):
    assert shared.link_to("/user/alice/lab") == "/user/alice/lab"
    assert shared.domain == shared.hub_origin == ""
    assert shared.is_hub("whatever.example")
    assert not shared.is_below("https", "alice.hub.example.org")
    assert shared.absolute_url("/user/alice/") == (shared.hub + "/user/alice/" if shared.hub else None)


def test_a_host_is_the_hubs_a_subdomain_or_neither():
    assert [HUB.is_hub(host) for host in ("hub.example.org", "HUB.example.org:443", "alice.hub.example.org", "")] == [
        True,
        True,
        False,
        False,
    ]
    assert HUB.is_below("https", "Alice.hub.example.org")
    for netloc in (
        "a.hub.example.org:8443",
        "hub.example.org",
        "evilhub.example.org",
        "hub.example.org.evil",
        "x@a.hub.example.org",
    ):
        assert not HUB.is_below("https", netloc)
    assert not HUB.is_below("http", "alice.hub.example.org")
    assert HUB.is_host_of_path("/user/alice/api", "Alice.hub.example.org:443")
    assert not HUB.is_host_of_path("/user/bob/api", "alice.hub.example.org")


@pytest.mark.parametrize("host", ["hub.example.org", "localhost", "hub.localhost", "a" * 63 + ".org"])
def test_a_domain_can_have_subdomains(host):
    assert is_domain(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "127.0.0.1",
        "[::1]",
        "bücher.example",
        "a..b",
        "hub.example.org.",
        "a_b.org",
        "a" * 64 + ".org",
        "a." * 95 + "org",
    ],
)
def test_an_address_or_a_long_name_cannot_have_subdomains(host):
    assert not is_domain(host)

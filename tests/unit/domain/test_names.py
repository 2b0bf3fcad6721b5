import contextlib
from types import SimpleNamespace

import pytest

from hubless.domain import names
from hubless.domain.errors import InvalidRequestError


@pytest.mark.parametrize("name", ["a", "alice", "a@b.example", "x-y", "ü", "a b", "名前", "a.b", "a%b", "x" * 255])
def test_ordinary_and_unusual_names_are_allowed(name):
    assert names.check_user_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " a",
        "a ",
        "a/b",
        ".",
        "..",
        "...",
        "%2e%2E",
        "a\nb",
        "a\x00b",
        "\x7f",
        "a\u2028b",
        "x" * 256,
        "\u202enimda",
        "a\u2066b",
        "\u202aa",
    ],
)
def test_names_that_break_a_rule_are_refused_with_the_rule(name):
    with pytest.raises(InvalidRequestError, match="Invalid username"):
        names.check_user_name(name)


def test_an_error_shortens_a_long_name():
    with pytest.raises(InvalidRequestError) as refused:
        names.check_user_name("y" * 100_000)

    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("name", ["a", "lab1", "a-b-c", "a" * 30])
def test_server_names_of_jupyterhub_6_are_allowed(name):
    assert names.check_server_name(name) == name


@pytest.mark.parametrize("name", ["", "Upper", "1st", "a--b", "-a", "a-", "a" * 31, "a.b", "a b", "ü", "a\n"])
def test_other_server_names_are_refused(name):
    with pytest.raises(InvalidRequestError):
        names.check_server_name(name)


@pytest.mark.parametrize("name", ["My book", "Ünïcode 📓", "a" * 255])
def test_display_names_are_printable(name):
    assert names.check_display_name(name)


@pytest.mark.parametrize("name", ["", " a", "a ", "a  b", "a\tb", "a\x00", "a" * 256])
def test_deceptive_display_names_are_refused(name):
    with pytest.raises(InvalidRequestError):
        names.check_display_name(name)


def test_prefixes_of_two_owners_never_collide():
    assert names.route_prefix("x-y", "") != names.route_prefix("x", "y")
    assert names.route_prefix("a", "b") == "/user/a/b/"


def test_login_names_are_normalised():
    assert names.normalise_user_name("ALICE") == names.normalise_user_name("alice")
    assert names.normalise_user_name("u\u0308") == "ü"


@pytest.mark.parametrize("rule", [names.normalise_user_name, names.check_user_name, names.check_display_name])
def test_what_is_too_long_for_a_name_is_never_composed(monkeypatch, rule):
    composed = []
    monkeypatch.setattr(names, "unicodedata", SimpleNamespace(normalize=lambda _, text: composed.append(text) or text))
    with contextlib.suppress(InvalidRequestError):
        rule("a" + "\u0316\u0300" * 1000)
    assert composed == []

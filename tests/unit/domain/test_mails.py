"""E-mail addresses that the hub takes, and those that it refuses."""

import pytest

from hubless.domain.errors import InvalidRequestError
from hubless.domain.mails import check_address, folded, host_of


@pytest.mark.parametrize(
    ("typed", "checked"),
    [
        ("ada@example.org", "ada@example.org"),
        ("  Ada.Byron+hub@Example.ORG ", "Ada.Byron+hub@example.org"),
        ("o'neill@mail.xn--mnchen-3ya.example", "o'neill@mail.xn--mnchen-3ya.example"),
        ("root@localhost", "root@localhost"),
        ("a" * 64 + "@" + "b" * 63 + ".org", "a" * 64 + "@" + "b" * 63 + ".org"),
    ],
)
def test_an_address_is_taken_without_blanks_and_with_a_lower_host(typed, checked):
    assert check_address(typed) == checked


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "@",
        "ada",
        "ada@",
        "@example.org",
        "ada@@example.org",
        "ada@example..org",
        "ada@-example.org",
        ".ada@example.org",
        "ada.@example.org",
        "a da@example.org",
        "ada@example.org, eve@example.org",
        "Ada <ada@example.org>",
        '"ada"@example.org',
        "ada@[127.0.0.1]",
        "ada@example.org\r\nBcc: eve@example.org",
        "åda@example.org",
        "ada@exämple.org",
        "a" * 65 + "@example.org",
        "ada@" + "b" * 64 + ".org",
        "ada@" + ".".join(["b" * 60] * 5),
        "a" * 1_000_000,
    ],
)
def test_what_is_no_address_is_refused(typed):
    with pytest.raises(InvalidRequestError, match="of the form"):
        check_address(typed)


def test_spellings_of_one_address_are_the_same_in_lower_case():
    assert folded(check_address("Ada@Example.org")) == folded("ada@example.org")
    assert host_of("ada@example.org") == "example.org"

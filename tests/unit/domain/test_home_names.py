"""Names of files that say whose home is meant."""

import os
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from hubless.domain.home_names import MAX_BYTES, file_name

NAMES = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=255)


def test_usual_names_stay_as_they_are() -> None:
    usual = ["maria", "anna.mueller", "j-doe_2@example.org", "müller", "孙中山", "мария"]
    assert [file_name(name) for name in usual] == usual


def test_the_worst_names_are_escaped() -> None:
    assert file_name("a/b") == "a%2Fb"
    assert file_name("..") == "%2E."
    assert file_name(".bashrc") == "%2Ebashrc"
    assert file_name("100%") == "100%25"
    assert file_name("a b\n") == "a%20b%0A"
    assert file_name("Maria") == "%4Daria"
    assert file_name("e\u0301") == "e%CC%81"  # é in two characters, which some file systems compose


def test_a_long_name_is_cut_and_stays_unique() -> None:
    first, second = (file_name("ü" * 254 + last) for last in "ab")
    assert first.startswith("ü" * 100)
    assert first != second
    assert len(first.encode()) <= MAX_BYTES


def test_a_cut_name_has_whole_escapes() -> None:
    for length in range(80, 90):
        cut = file_name("x" * (length % 3) + "/" * length)
        head = cut.partition("%~")[0].lstrip("x")
        assert head == "%2F" * (len(head) // 3)


@given(NAMES, NAMES)
def test_two_users_never_share_a_name(one: str, other: str) -> None:
    first, second = file_name(one), file_name(other)
    assert (as_compared(first) == as_compared(second)) == (one == other)


@given(NAMES)
def test_every_name_can_be_a_files(name: str) -> None:
    found = file_name(name)
    assert 0 < len(os.fsencode(found)) <= MAX_BYTES
    assert "/" not in found
    assert "\0" not in found
    assert not found.startswith(".")


def as_compared(name: str) -> str:
    """Return what a file system compares that ignores case and composes letters."""
    return unicodedata.normalize("NFC", name).casefold()

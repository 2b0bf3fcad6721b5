import secrets
from datetime import UTC, datetime, timedelta

from hubless.domain.ids import created_at, identifier

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def test_identifiers_sort_by_the_time_they_were_made():
    made = [identifier("u", NOW + timedelta(milliseconds=i), secrets.token_bytes(10)) for i in range(100)]

    assert made == sorted(made)


def test_identifiers_of_one_millisecond_differ():
    assert len({identifier("u", NOW, secrets.token_bytes(10)) for _ in range(1000)}) == 1000


def test_an_identifier_is_safe_in_urls_and_file_names():
    assert identifier("s", NOW, b"\xff" * 10).isalnum()


def test_an_identifier_tells_when_it_was_made():
    at = NOW + timedelta(milliseconds=7)

    assert created_at(identifier("u", at, secrets.token_bytes(10))) == at


def test_a_text_that_is_no_identifier_was_made_in_1970():
    for text in ("", "u-alice", "u" + "z" * 26, "u" + "!" * 26):
        assert created_at(text) == datetime(1970, 1, 1, tzinfo=UTC)

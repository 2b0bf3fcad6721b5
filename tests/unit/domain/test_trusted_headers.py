"""The texts by which the API knows its front."""

import pytest

from hubless.domain.trusted_headers import secrets_in


@pytest.mark.parametrize(
    ("parameter", "texts"),
    [
        ("one", ("one",)),
        (" one\ntwo ", ("one", "two")),
        ('{"now": "one"}', ("one",)),
        ('{"now": "one", "next": "two"}', ("one", "two")),
        ('{"now": "one", "next": ""}', ("one",)),
        ("", ()),
        ("{", ()),
        ("{}", ()),
    ],
)
def test_one_secret_is_read_or_two_during_a_rotation(parameter, texts):
    assert secrets_in(parameter) == texts

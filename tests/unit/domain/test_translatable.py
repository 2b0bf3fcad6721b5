"""Sentences are ordinary English texts that remember what another language needs."""

import json

import pytest

from hubless.domain.errors import HublessError, InvalidRequestError, NameTakenError, NotFoundError, QuotaExceededError
from hubless.domain.translatable import Message, gettext, ngettext


def test_is_the_english_sentence_to_everybody_else():
    said = gettext("%(name)s has %(share)s %% of it", name="alice", share=5)

    assert said == "alice has 5 % of it"
    assert json.dumps(said) == '"alice has 5 % of it"'
    assert (said.msgid, said.parameters) == ("%(name)s has %(share)s %% of it", {"name": "alice", "share": 5})


def test_a_sentence_without_parameters_may_have_a_percent_sign():
    assert gettext("100 % done") == "100 % done"


@pytest.mark.parametrize(("count", "expected"), [(0, "0 servers"), (1, "1 server"), (2, "2 servers")])
def test_knows_the_plural(count, expected):
    assert ngettext("%(count)s server", "%(count)s servers", count) == expected


def test_what_a_person_chose_is_no_template():
    assert gettext("No user %(name)s", name="%(secret)s %d") == "No user %(secret)s %d"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NotFoundError("User", "bob"), "User 'bob' does not exist"),
        (NameTakenError("User", "bob"), "User bob already exists"),
        (NameTakenError("User", "bob", looks_like="b0b"), "The name 'bob' looks like 'b0b', which is taken."),
        (InvalidRequestError(gettext("At most %(most)s", most=3)), "At most 3"),
        (QuotaExceededError("Too many", limit=1), "Too many"),
        (HublessError(), ""),
    ],
)
def test_an_error_keeps_its_sentence(error, expected):
    assert str(error).startswith(expected)
    assert error.message == str(error)


def test_an_errors_sentence_can_still_be_translated():
    message = InvalidRequestError(gettext("At most %(most)s", most=3)).message

    assert isinstance(message, Message)
    assert message.parameters == {"most": 3}

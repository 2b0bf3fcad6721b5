"""Why a server was stopped, in words, and how long durations are."""

from datetime import timedelta

import pytest

from hubless.domain.durations import in_words
from hubless.domain.stop_reasons import StopCause, StopReason, asked_by


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(hours=1), "1 hour"),
        (timedelta(minutes=90), "1 hour 30 minutes"),
        (timedelta(days=2, hours=1, minutes=59), "2 days 1 hour"),
        (timedelta(days=1, minutes=5), "1 day"),
        (timedelta(minutes=20), "20 minutes"),
        (timedelta(seconds=61), "1 minute 1 second"),
        (timedelta(seconds=59), "59 seconds"),
        (timedelta(microseconds=1), "0 seconds"),
        (timedelta(seconds=-1), "0 seconds"),
    ],
)
def test_a_duration_in_words_has_two_units_at_most(duration, words):
    assert in_words(duration) == words


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (asked_by("alice", "alice"), "You stopped this server"),
        (asked_by("root", "alice"), "root stopped this server"),
        (asked_by("alice", "alice", is_service=True), "The service alice stopped this server"),
        (StopReason(StopCause.IDLE, limit=timedelta(hours=1)), "Stopped after 1 hour without activity"),
        (
            StopReason(StopCause.AGE, limit=timedelta(hours=8)),
            "Stopped after 8 hours, the longest time that a server may run",
        ),
        (
            StopReason(StopCause.FILES, limit=timedelta(minutes=30)),
            "Stopped after 30 minutes, because your files take more room than they may",
        ),
        (StopReason(StopCause.HUB), "Stopped when the hub was shut down"),
    ],
)
def test_each_reason_is_a_sentence_for_the_owner(reason, sentence):
    assert reason.sentence == sentence

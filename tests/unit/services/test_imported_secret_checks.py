"""What wrong secrets cost that begin like one of another hub with many rounds."""

import threading
from datetime import timedelta

import pytest

from hubless.domain.errors import QuotaExceededError
from hubless.domain.imported_secrets import ImportedHash
from hubless.services import imported_secret_checks
from hubless.services.imported_secret_checks import AT_ONCE, PAUSE, ImportedSecretChecks
from tests.support.builders import NOW, an_imported_hash

MANY_ROUNDS = 16_384
SLOW, QUICK = an_imported_hash("serv-right", MANY_ROUNDS), an_imported_hash("serv-quick")
HERE, THERE = "192.0.2.1", "198.51.100.7"


@pytest.fixture
def hashed(monkeypatch):
    """The secrets that were hashed many times."""
    seen, matches = [], ImportedHash.matches

    def seen_matches(self, secret):
        if self.rounds > 1:
            seen.append(secret)
        return matches(self, secret)

    monkeypatch.setattr(ImportedHash, "matches", seen_matches)
    return seen


@pytest.fixture
def checks():
    return ImportedSecretChecks()


def fail(checks, number, sender=HERE, now=NOW, candidates=(SLOW,)):
    for one in range(number):
        assert checks.matching(candidates, f"serv-{sender}{now}{one}", sender, now) is None


def test_wrong_ones_of_one_sender_are_compared_a_few_times_at_once(checks, hashed):
    fail(checks, AT_ONCE)
    for number in range(1000):
        with pytest.raises(QuotaExceededError, match="Send it again") as refused:
            checks.matching([SLOW], f"serv-{number}", HERE, NOW)
        assert (refused.value.retry, refused.value.after) == (True, PAUSE)
    assert len(hashed) == AT_ONCE


def test_after_them_one_is_compared_in_each_pause(checks, hashed):
    fail(checks, AT_ONCE)
    for turn in range(1, 100):
        now = NOW + turn * PAUSE
        assert checks.matching([SLOW], f"serv-{turn}", HERE, now) is None
        with pytest.raises(QuotaExceededError):
            checks.matching([SLOW], "serv-more", HERE, now)
    assert len(hashed) == AT_ONCE + 99


def test_a_right_one_gets_through_after_one_pause_of_a_flood(checks):
    fail(checks, AT_ONCE)
    with pytest.raises(QuotaExceededError) as refused:
        checks.matching([SLOW], "serv-right", HERE, NOW)
    assert checks.matching([SLOW], "serv-right", HERE, NOW + refused.value.after) == SLOW


def test_a_flood_from_one_address_holds_up_no_other(checks):
    fail(checks, AT_ONCE)
    assert checks.matching([SLOW], "serv-right", THERE, NOW) == SLOW


def test_right_ones_cost_nothing_of_what_wrong_ones_may(checks):
    for _ in range(10 * AT_ONCE):
        assert checks.matching([SLOW], "serv-right", HERE, NOW) == SLOW


def test_the_same_wrong_one_is_hashed_once_and_counts_once(checks, hashed):
    for _ in range(10 * AT_ONCE):
        assert checks.matching([SLOW], "serv-old", HERE, NOW) is None
        assert checks.matching([SLOW], "serv-old", THERE, NOW) is None
    assert hashed == ["serv-old"]
    fail(checks, AT_ONCE - 2)
    assert checks.matching([SLOW], "serv-right", HERE, NOW) == SLOW


def test_a_secret_that_was_wrong_is_right_once_its_hash_is_imported(checks):
    other = an_imported_hash("serv-other", MANY_ROUNDS)
    assert checks.matching([other], "serv-right", HERE, NOW) is None
    assert checks.matching([other, SLOW], "serv-right", HERE, NOW) == SLOW


def test_hashes_of_one_round_are_compared_whatever_the_sender_did(checks):
    fail(checks, AT_ONCE)
    assert checks.matching([SLOW, QUICK], "serv-quick", HERE, NOW) == QUICK
    assert checks.matching([QUICK], "serv-wrong", HERE, NOW) is None


@pytest.mark.parametrize("jump", [timedelta(days=-1), timedelta(seconds=-30)])
def test_a_clock_that_goes_back_costs_one_pause_at_most(checks, jump):
    fail(checks, AT_ONCE)
    with pytest.raises(QuotaExceededError) as refused:
        checks.matching([SLOW], "serv-right", HERE, NOW + jump)
    assert refused.value.after == PAUSE
    assert checks.matching([SLOW], "serv-right", HERE, NOW + jump + PAUSE) == SLOW


def test_what_a_process_remembers_is_bounded(checks, monkeypatch):
    monkeypatch.setattr(imported_secret_checks, "MOST_KEPT", 5)
    for number in range(20):
        fail(checks, 2, sender=f"192.0.2.{number}")
    assert [len(checks._wrong), len(checks._paid_until)] == [5, 5]


def test_of_many_threads_no_more_get_a_hash_than_one(checks, hashed):
    begin, refused = threading.Barrier(8), []

    def ask(thread):
        begin.wait()
        for number in range(AT_ONCE):
            try:
                checks.matching([SLOW], f"serv-{thread}-{number}", HERE, NOW)
            except QuotaExceededError as error:
                refused.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(hashed), len(refused)) == (AT_ONCE, 7 * AT_ONCE)

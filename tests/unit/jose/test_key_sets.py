from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from joserfc.jwk import OctKey

from hubless.adapters.jose.fetching import FetchError
from hubless.adapters.jose.key_sets import EXTRA_FETCHES, MAX_KEYS, FetchedKeys, GivenKeys, keys_of
from tests.doubles.signers import FakeFetcher, ec_key, key_set, rsa_key
from tests.support.fakes import StoppedClock

URL = "https://idp.example.org/keys"


def fetched(*keys):
    clock, fetcher = StoppedClock(datetime(2026, 11, 28, tzinfo=UTC)), FakeFetcher({URL: key_set(*keys)})
    return FetchedKeys(URL, fetcher, clock), fetcher, clock


def test_keys_are_fetched_once_for_many_tokens():
    keys, fetcher, clock = fetched(rsa_key())

    for _ in range(3):
        assert [key.kid for key in keys.find("rsa-1")] == ["rsa-1"]
        clock.advance(timedelta(minutes=19))

    assert fetcher.asked == [URL]


def test_keys_are_fetched_again_after_an_hour():
    keys, fetcher, clock = fetched(rsa_key())
    keys.find("rsa-1")
    fetcher.answers[URL] = key_set(ec_key())

    clock.advance(timedelta(hours=1))

    assert keys.find("rsa-1") == ()


def test_keys_are_fetched_again_when_the_clock_was_set_back():
    keys, fetcher, clock = fetched(rsa_key())
    keys.find("rsa-1")

    clock.advance(timedelta(days=-1))
    keys.find("rsa-1")

    assert len(fetcher.asked) == 2


def test_an_unknown_id_asks_for_new_keys():
    keys, fetcher, _ = fetched(rsa_key())
    keys.find("rsa-1")
    fetcher.answers[URL] = key_set(ec_key())

    assert [key.kid for key in keys.find("ec-1")] == ["ec-1"]


def test_a_flood_of_unknown_ids_is_a_few_requests():
    keys, fetcher, clock = fetched(rsa_key())
    keys.find("rsa-1")
    clock.advance(timedelta(minutes=2))

    for number in range(100):
        assert keys.find(f"made-up-{number}") == ()
        keys.find("rsa-1", again=True)

    assert len(fetcher.asked) == 1 + EXTRA_FETCHES
    clock.advance(timedelta(minutes=2))
    fetcher.answers[URL] = key_set(ec_key())
    assert keys.find("ec-1")


def test_threads_wait_for_one_fetch():
    keys, fetcher, _ = fetched(rsa_key())

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(keys.find, ["rsa-1"] * 50))

    assert all(found)
    assert fetcher.asked == [URL]


def test_known_keys_outlive_an_outage_of_a_day():
    keys, fetcher, clock = fetched(rsa_key())
    keys.find("rsa-1")
    fetcher.answers[URL] = FetchError("down")

    clock.advance(timedelta(hours=23))
    assert keys.find("rsa-1")
    clock.advance(timedelta(hours=1))
    with pytest.raises(FetchError, match="down"):
        keys.find("rsa-1")


def test_an_outage_from_the_start_is_said_and_ends():
    keys, fetcher, clock = fetched()
    fetcher.answers[URL] = FetchError("down")

    for _ in range(20):
        with pytest.raises(FetchError, match="down"):
            keys.find("rsa-1")
    assert len(fetcher.asked) == EXTRA_FETCHES
    fetcher.answers[URL] = key_set(rsa_key())
    clock.advance(timedelta(minutes=1))
    assert keys.find("rsa-1")


@pytest.mark.parametrize("answer", [None, [], {}, {"keys": {}}, {"keys": []}, {"keys": [{}] * (MAX_KEYS + 1)}])
def test_what_is_no_key_set_is_said(answer):
    keys, fetcher, _ = fetched()
    fetcher.answers[URL] = answer

    with pytest.raises(FetchError, match=r"key set of idp\.example\.org"):
        keys.find("rsa-1")


def test_useless_keys_drop_out():
    useless = [
        OctKey.generate_key(256).as_dict(),
        rsa_key("private").as_dict(private=True),
        key_set(rsa_key("short", 1024))["keys"][0],
        key_set(rsa_key("encrypts"), use="enc")["keys"][0],
        {"kty": "AKP", "kid": "of tomorrow"},
        {"kty": "RSA", "kid": "broken", "n": "?", "e": 7},
        "no key",
    ]

    assert [key.kid for key in keys_of({"keys": [*useless, *key_set(ec_key())["keys"]]})] == ["ec-1"]
    with pytest.raises(ValueError, match="no public key"):
        GivenKeys({"keys": useless})


def test_keys_without_an_id_may_be_any_id():
    keys = GivenKeys(key_set(rsa_key(None), ec_key()))

    assert len(keys.find("whatever")) == 1
    assert len(keys.find(None)) == 2

from datetime import timedelta

from hubless.domain.histograms import LOGIN_DURATION, SPAWN_DURATION, BucketCount
from tests.support.concurrency import MANY, concurrently

TOOK = timedelta(seconds=3, microseconds=7)
ONE = SPAWN_DURATION.counted(TOOK, "success", "")


def by_bucket(counts):
    return {(one.histogram, one.labels, one.bucket): (one.count, one.total) for one in counts}


def test_counts_come_back_as_they_were_added(stores):
    odd = BucketCount(LOGIN_DURATION.name, ('a"b\\c#d ü',), 14, 5, timedelta(days=400, microseconds=1))
    assert stores.histograms.all() == []
    stores.histograms.add([ONE, odd])
    assert by_bucket(stores.histograms.all()) == by_bucket([ONE, odd])


def test_counts_are_added_to_those_of_their_bucket_alone(stores):
    slow, failed = SPAWN_DURATION.counted(TOOK * 9, "success", ""), SPAWN_DURATION.counted(TOOK, "failure", "")
    stores.histograms.add([ONE, slow])
    stores.histograms.add([ONE, failed])
    stores.histograms.add([])
    twice = BucketCount(ONE.histogram, ONE.labels, ONE.bucket, 2, TOOK * 2)
    assert by_bucket(stores.histograms.all()) == by_bucket([twice, slow, failed])


def test_two_at_once_lose_nothing(stores):
    concurrently(lambda _: stores.histograms.add([ONE]))
    (found,) = stores.histograms.all()
    assert (found.count, found.total) == (MANY, TOOK * MANY)

from datetime import timedelta

import pytest

from hubless.domain import histograms
from hubless.domain.histograms import BucketCount, added_up

SECOND = timedelta(seconds=1)
STOP, REQUEST = histograms.STOP_DURATION, histograms.REQUEST_DURATION


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0, 0), (0.005, 0), (0.0051, 1), (10, 13), (10.000001, 14), (86_400, 14)]
)
def test_a_duration_counts_up_to_the_bound_of_its_bucket(seconds, bucket):
    assert STOP.counted(timedelta(seconds=seconds), "success").bucket == bucket


def test_a_clock_that_was_set_back_counts_as_no_time():
    assert STOP.counted(-SECOND, "success") == BucketCount(STOP.name, ("success",), 0, 1, timedelta())


def test_a_wrong_number_of_labels_is_a_mistake():
    with pytest.raises(ValueError, match="status"):
        STOP.counted(SECOND)


def test_counts_add_up_by_histogram_labels_and_bucket():
    two = [STOP.counted(SECOND, "success"), STOP.counted(SECOND / 1.25, "success")]
    others = [
        STOP.counted(SECOND, "failure"),
        REQUEST.counted(SECOND, "GET", "x", "200"),
        STOP.counted(SECOND * 4, "success"),
    ]
    assert added_up([*two, *others, *others]) == [
        BucketCount(STOP.name, ("success",), 9, 2, SECOND * 1.8),
        *(BucketCount(one.histogram, one.labels, one.bucket, 2, one.total * 2) for one in others),
    ]


def test_bounds_ascend_and_end_with_infinity():
    for one in histograms.ALL.values():
        assert list(one.bounds) == sorted(set(one.bounds))
        assert one.bounds[-1] == float("inf")
        assert all(len(labels) == len(one.labels) for labels in one.always)

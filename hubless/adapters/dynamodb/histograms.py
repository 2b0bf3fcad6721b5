"""The histograms' counts in DynamoDB: an item for each bucket, so that one write of one unit adds to it."""

import json
from collections.abc import Sequence
from datetime import timedelta

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import Database, Update
from hubless.adapters.dynamodb.table import HistogramItem
from hubless.domain.histograms import BucketCount

_MICROSECOND = timedelta(microseconds=1)


class DynamoHistogramStore:
    """Adds without a condition: a sum is right in whatever order its parts come."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, counts: Sequence[BucketCount]) -> None:
        for one in counts:
            key = keys.histogram(one.histogram, json.dumps(one.labels), one.bucket)
            actions = [
                HistogramItem.histogram.set(one.histogram),
                HistogramItem.labels.set(list(one.labels)),
                HistogramItem.bucket.set(one.bucket),
                HistogramItem.count_.add(one.count),
                HistogramItem.microseconds.add(one.total // _MICROSECOND),
            ]
            self._database.write(Update(key, actions))

    def all(self) -> list[BucketCount]:
        return [
            BucketCount(
                item.histogram,
                tuple(item.labels),
                int(item.bucket),
                int(item.count_),
                int(item.microseconds) * _MICROSECOND,
            )
            for item in self._database.query(HistogramItem, keys.HISTOGRAMS)
        ]

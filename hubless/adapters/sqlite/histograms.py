"""The histograms' counts in SQLite."""

import json
from collections.abc import Sequence
from datetime import timedelta

from hubless.adapters.sqlite.database import Database
from hubless.domain.histograms import BucketCount

_MICROSECOND = timedelta(microseconds=1)


class SqliteHistogramStore:
    """Keeps a row for each bucket."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, counts: Sequence[BucketCount]) -> None:
        rows = [(c.histogram, json.dumps(c.labels), c.bucket, c.count, c.total // _MICROSECOND) for c in counts]
        with self._database.transaction():
            self._database.write_many(
                "INSERT INTO histograms (name, labels, bucket, count, microseconds) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET count = count + excluded.count,"
                " microseconds = microseconds + excluded.microseconds",
                rows,
            )

    def all(self) -> list[BucketCount]:
        rows = self._database.read("SELECT name, labels, bucket, count, microseconds FROM histograms")
        return [
            BucketCount(name, tuple(json.loads(labels)), bucket, count, microseconds * _MICROSECOND)
            for name, labels, bucket, count, microseconds in rows
        ]

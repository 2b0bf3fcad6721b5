"""How long launches took, in SQLite: a row for each profile."""

import json
from datetime import timedelta

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain.launch_times import LaunchTime, with_newest

_MICROSECOND = timedelta(microseconds=1)


class SqliteLaunchTimeStore:
    """Remembers the latest launches of each profile."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, profile: str, newest: LaunchTime) -> None:
        with self._database.transaction():
            times = [[to_number(one.at), one.took // _MICROSECOND] for one in with_newest(self.of(profile), newest)]
            self._database.write(
                "INSERT INTO launch_times (profile, times) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET times = ?2",
                (profile, json.dumps(times)),
            )

    def of(self, profile: str) -> tuple[LaunchTime, ...]:
        row = self._database.read_one("SELECT times FROM launch_times WHERE profile = ?", (profile,))
        return tuple(
            LaunchTime(instant, took * _MICROSECOND)
            for at, took in ([] if row is None else json.loads(row[0]))
            if (instant := to_instant(at)) is not None
        )

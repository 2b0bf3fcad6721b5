"""What may be used once only, in SQLite."""

import hashlib
from datetime import datetime

from hubless.adapters.sqlite.database import Database, to_number


class SqliteSingleUseStore:
    """Remembers what was used, by its digest."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def use(self, key: str, until: datetime) -> bool:
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        added = self._database.write(
            "INSERT INTO used (digest, until) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING", (digest, to_number(until))
        )
        return added > 0

    def delete_expired(self, now: datetime, limit: int) -> int:
        return self._database.write(
            "DELETE FROM used WHERE digest IN (SELECT digest FROM used WHERE until <= ? LIMIT ?)",
            (to_number(now), limit),
        )

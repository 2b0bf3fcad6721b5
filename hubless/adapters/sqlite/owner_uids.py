"""The uids of owners in SQLite."""

from hubless.adapters.sqlite.database import Database


class SqliteOwnerUidStore:
    """Stores one uid for each owner. Rows have no reference to users: they outlive them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def uid_of(self, owner_id: str) -> int | None:
        row = self._database.read_one("SELECT uid FROM owner_uids WHERE owner_id = ?", (owner_id,))
        return None if row is None else int(row[0])

    def highest(self, first: int, last: int) -> int | None:
        row = self._database.read_one("SELECT max(uid) FROM owner_uids WHERE uid BETWEEN ? AND ?", (first, last))
        return None if row is None or row[0] is None else int(row[0])

    def claim(self, owner_id: str, uid: int) -> bool:
        self._database.write(
            "INSERT INTO owner_uids (owner_id, uid) VALUES (?, ?) ON CONFLICT DO NOTHING", (owner_id, uid)
        )
        return self.uid_of(owner_id) == uid

    def claim_of_removed(self, owner_id: str, uid: int) -> bool:
        self._database.write(
            "UPDATE OR IGNORE owner_uids SET owner_id = ? WHERE uid = ? AND owner_id NOT IN (SELECT id FROM users)",
            (owner_id, uid),
        )
        return self.uid_of(owner_id) == uid

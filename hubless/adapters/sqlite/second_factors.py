"""Second factors in SQLite."""

import json

from hubless.adapters.sqlite.database import Database
from hubless.domain import factor_records
from hubless.domain.errors import NotFoundError, StoreConflictError
from hubless.domain.second_factors import Factors


class SqliteFactorStore:
    """Stores a record of second factors for each user."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, user_id: str) -> Factors:
        row = self._database.read_one("SELECT revision, facts FROM second_factors WHERE user_id = ?", (user_id,))
        return Factors(user_id) if row is None else factor_records.of_facts(user_id, row[0], json.loads(row[1]))

    def save(self, before: Factors, after: Factors) -> None:
        facts = json.dumps(factor_records.to_facts(after))
        with self._database.transaction():
            if not self._database.write(
                "UPDATE users SET factors = ? WHERE id = ?", (after.state.value, after.user_id)
            ):
                raise NotFoundError("User", after.user_id)
            written = self._database.write(
                "INSERT INTO second_factors (user_id, revision, facts) SELECT ?1, ?2, ?3 WHERE ?4 = 0"
                " ON CONFLICT (user_id) DO NOTHING"
                if not before.revision
                else "UPDATE second_factors SET revision = ?2, facts = ?3 WHERE user_id = ?1 AND revision = ?4",
                (after.user_id, after.revision, facts, before.revision),
            )
            if not written:
                raise StoreConflictError("Another request changed the second factors of this user meanwhile")

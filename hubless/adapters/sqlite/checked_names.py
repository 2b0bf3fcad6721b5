"""By which rule names were checked, in SQLite."""

from hubless.adapters.sqlite.database import Database


class SqliteCheckedNames:
    """Stores one number."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rule(self) -> int:
        row = self._database.read_one("SELECT rule FROM checked_names")
        return int(row[0]) if row else 0

    def note(self, rule: int) -> None:
        self._database.write(
            "INSERT INTO checked_names (id, rule) VALUES (1, ?)"
            " ON CONFLICT DO UPDATE SET rule = max(rule, excluded.rule)",
            (rule,),
        )

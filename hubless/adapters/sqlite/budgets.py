"""Budgets in SQLite."""

import json
from dataclasses import asdict

from hubless.adapters.sqlite.database import Database
from hubless.domain.budgets import Budget


class SqliteBudgetStore:
    """Stores budgets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Budget]:
        return [
            Budget(**json.loads(text)) for (text,) in self._database.read("SELECT facts FROM budgets ORDER BY name")
        ]

    def put(self, budget: Budget) -> None:
        self._database.write(
            "INSERT INTO budgets (name, facts) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET facts = ?2",
            (budget.name, json.dumps(asdict(budget))),
        )

    def remove(self, name: str) -> bool:
        return bool(self._database.write("DELETE FROM budgets WHERE name = ?", (name,)))

"""Budgets in DynamoDB: one partition, which one query reads."""

from dataclasses import asdict

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import Database, Put
from hubless.adapters.dynamodb.table import BudgetItem
from hubless.domain.budgets import Budget


class DynamoBudgetStore:
    """Stores budgets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Budget]:
        found = [Budget(**item.facts) for item in self._database.query(BudgetItem, keys.BUDGETS)]
        return sorted(found, key=lambda budget: budget.name)

    def put(self, budget: Budget) -> None:
        self._database.write(Put(BudgetItem(*keys.budget(budget.name), facts=asdict(budget))))

    def remove(self, name: str) -> bool:
        return self._database.take(BudgetItem, keys.budget(name), BudgetItem.pk.exists()) is not None

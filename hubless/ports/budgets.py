"""The store of budgets that admins set while the hub runs."""

from typing import Protocol

from hubless.domain.budgets import Budget


class BudgetStore(Protocol):
    """Stores budgets, few of them."""

    def all(self) -> list[Budget]:
        """Return all budgets, sorted by name."""
        ...

    def put(self, budget: Budget) -> None:
        """Store *budget* in place of one of the same name."""
        ...

    def remove(self, name: str) -> bool:
        """Remove the budget of that name; say whether there was one."""
        ...

"""The clock."""

from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present instant, timezone-aware, in UTC."""
        ...

    def elapsed(self) -> timedelta:
        """Return the time since some moment in the past, on a clock that nobody sets: only differences count."""
        ...

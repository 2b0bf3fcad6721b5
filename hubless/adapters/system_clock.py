"""The machine's clock."""

from datetime import UTC, datetime


class SystemClock:
    """Tells the time; the only place that asks the machine for it."""

    def now(self) -> datetime:
        """Return the present instant in UTC."""
        return datetime.now(UTC)  # noqa: TID251 here and nowhere else

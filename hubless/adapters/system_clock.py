"""The clock of this machine."""

from datetime import UTC, datetime


class SystemClock:
    """Reads the time; the only place that does."""

    def now(self) -> datetime:
        """Return the current instant in UTC."""
        return datetime.now(UTC)  # noqa: TID251 here and nowhere else

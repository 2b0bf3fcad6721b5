"""The clock of this machine."""

import time
from datetime import UTC, datetime, timedelta


class SystemClock:
    """Reads the time; the only place that does."""

    def now(self) -> datetime:
        """Return the current instant in UTC."""
        return datetime.now(UTC)  # noqa: TID251 here and nowhere else

    def elapsed(self) -> timedelta:
        """Return the time since some moment in the past."""
        return timedelta(seconds=time.monotonic())

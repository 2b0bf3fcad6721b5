"""No launch rate limit, for launchers without one."""

from datetime import timedelta


class NoRateLimit:
    """Gives every caller a slot at once."""

    interval = timedelta()

    def acquire(self) -> None:
        return

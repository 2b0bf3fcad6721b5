"""No launch rate limit, for launchers without one."""


class NoRateLimit:
    """Gives every launch a slot at once."""

    def acquire(self) -> None:
        return

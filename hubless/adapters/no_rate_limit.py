"""No pace: where launches have no limit in common."""


class NoRateLimit:
    """Gives everybody the next turn at once."""

    def acquire(self) -> None:
        return

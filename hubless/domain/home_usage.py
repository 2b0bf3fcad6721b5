"""How large users' homes are."""

from datetime import datetime

from hubless.domain.values import value


@value
class HomeUsage:
    """The size of a user's home at one moment.

    Args:
        owner_id: whose home it is.
        size: bytes on disk.
        is_whole: whether all of it was measured; if not, the home is at least that large.
        measured_at: when the measurement ended.
        over_since: since when it has been larger than its limit, by each measurement; None if it is not.
    """

    owner_id: str
    size: int
    is_whole: bool
    measured_at: datetime
    over_since: datetime | None = None

    def exceeds(self, limit: int | None) -> bool:
        """Say whether the home is larger than *limit* bytes; None is no limit."""
        return limit is not None and self.size > limit

"""Usage: what a launch used, to the second."""

from datetime import datetime

from hubless.domain.values import value


@value
class Usage:
    """One launch from request to end, written once when it ends."""

    launch_id: str
    server_id: str
    owner_id: str
    profile: str
    started_at: datetime
    ended_at: datetime
    outcome: str  # "stopped" or the failure in words

    @property
    def seconds(self) -> float:
        """Return how long it ran."""
        return (self.ended_at - self.started_at).total_seconds()

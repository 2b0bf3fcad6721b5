"""Usage: how long each launch ran, to the second."""

from datetime import datetime

from hubless.domain.values import value


@value
class Usage:
    """One launch, written once when it ends."""

    launch_id: str
    server_id: str
    owner_id: str
    profile: str
    started_at: datetime
    ended_at: datetime
    outcome: str  # "stopped", or the failure as a sentence

    @property
    def seconds(self) -> float:
        """Return how many seconds it ran."""
        return (self.ended_at - self.started_at).total_seconds()

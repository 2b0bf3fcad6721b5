"""The queue from the API and the sweep to the spawn function."""

from datetime import datetime, timedelta
from typing import Protocol

from hubless.domain.messages import Message
from hubless.domain.values import value


@value
class Received:
    """A message that a worker has claimed; *receipt* is valid until the claim ends."""

    receipt: str
    message: Message
    attempts: int


class Queue(Protocol):
    """Delivers messages at least once, in any order."""

    def send(self, message: Message) -> None:
        """Send *message*. Once this returns, the queue does not lose it."""
        ...

    def release(self, receipt: str, after: timedelta, now: datetime) -> None:
        """Deliver a claimed message again *after* this time; do nothing if another worker has claimed it since."""
        ...

    def depth(self) -> int:
        """Return the approximate number of messages, claimed ones included."""
        ...

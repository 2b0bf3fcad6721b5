"""The queue between the API and the spawn function."""

from datetime import datetime, timedelta
from typing import Protocol

from hubless.domain.messages import Message
from hubless.domain.values import value


@value
class Received:
    """A message that somebody works on; *receipt* is good until the claim ends."""

    receipt: str
    message: Message
    attempts: int


class Queue(Protocol):
    """Takes messages. They arrive at least once, in any order."""

    def send(self, message: Message) -> None:
        """Hand over *message*; when this returns, it is not lost."""
        ...

    def release(self, receipt: str, after: timedelta, now: datetime) -> None:
        """Have a message that somebody works on handed out again *after* so long; nothing when the claim has passed on."""
        ...

    def depth(self) -> int:
        """Return how many messages there are, about: those included that somebody works on."""
        ...

"""The queue between the API and the spawn function."""

from typing import Protocol

from hubless.domain.messages import Message


class Queue(Protocol):
    """Takes messages. They arrive at least once, in any order."""

    def send(self, message: Message) -> None:
        """Hand over *message*; when this returns, it is not lost."""
        ...

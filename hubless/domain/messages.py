"""The messages that the API and the sweep send to the spawn function through the queue."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from hubless.domain.values import value


class MessageKind(StrEnum):
    """What the spawn function should do; the values are the stored ones of version 1."""

    LAUNCH = "launch"
    ACTIVITY = "follow"  # a starting server has reported activity: it listens, so make it ready
    STOP = "stop"


@value
class Message:
    """One step for one launch. Handling it is idempotent."""

    kind: MessageKind
    server_id: str
    launch_id: str


def encode(message: Message) -> dict[str, str]:
    """Return *message* as a JSON object."""
    return {"kind": message.kind.value, "server_id": message.server_id, "launch_id": message.launch_id}


def decode(facts: Mapping[str, Any]) -> Message:
    """Return the message that `encode` wrote as *facts*.

    Raises:
        ValueError, KeyError: when *facts* are no message of this hub.
    """
    return Message(MessageKind(facts["kind"]), str(facts["server_id"]), str(facts["launch_id"]))

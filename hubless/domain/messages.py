"""What travels through the queue from the API to the spawn function."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from hubless.domain.values import value


class MessageKind(StrEnum):
    """What is to be done."""

    LAUNCH = "launch"
    ACTIVITY = "follow"  # look how far it has come: it was heard of
    STOP = "stop"


@value
class Message:
    """One thing to do for one launch; doing it twice is doing it once."""

    kind: MessageKind
    server_id: str
    launch_id: str


def encode(message: Message) -> dict[str, str]:
    """Return *message* as facts for JSON."""
    return {"kind": message.kind.value, "server_id": message.server_id, "launch_id": message.launch_id}


def decode(facts: Mapping[str, Any]) -> Message:
    """Return the message that `encode` wrote.

    Raises:
        ValueError, KeyError: when *facts* are none of ours.
    """
    return Message(MessageKind(facts["kind"]), str(facts["server_id"]), str(facts["launch_id"]))

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
    RESET_PASSWORD = "reset-password"  # noqa: S105 send a link to whom the message's text names
    BUDGET_ALERT = "budget-alert"  # send the mail that the text asks for: `AlertRequest`
    LETTER_MAIL = "letter-mail"  # send a letter by mail: the text has the ids of the letter and of its recipient


@value
class Message:
    """One step for one launch, or one mail. Handling a step is idempotent; a mail may arrive twice."""

    kind: MessageKind
    server_id: str = ""
    launch_id: str = ""
    text: str = ""  # of a mail: what a person typed who forgot a password, an `AlertRequest`, or two ids


def encode(message: Message) -> dict[str, str]:
    """Return *message* as a JSON object."""
    facts = {"kind": message.kind.value, "server_id": message.server_id, "launch_id": message.launch_id}
    return facts | ({"text": message.text} if message.text else {})


def decode(facts: Mapping[str, Any]) -> Message:
    """Return the message that `encode` wrote as *facts*.

    Raises:
        ValueError, KeyError: when *facts* are no message of this hub.
    """
    return Message(
        MessageKind(facts["kind"]), str(facts["server_id"]), str(facts["launch_id"]), str(facts.get("text", ""))
    )

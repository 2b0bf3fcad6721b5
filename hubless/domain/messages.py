"""What travels through the queue from the API to the spawn function."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is to be done."""

    LAUNCH = "launch"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to do for one launch; doing it twice is doing it once."""

    kind: Kind
    server_id: str
    launch_id: str

"""The queue in SQLite, like SQS: delivers at least once, and hides claimed messages."""

import json
from collections.abc import Collection
from datetime import datetime, timedelta

from hubless.adapters.sqlite.database import Database, to_number
from hubless.domain.messages import Message, MessageKind
from hubless.ports.queue import Received

LONGEST_WAIT = timedelta(minutes=2)  # longer than any claim or pause: the clock was set back since
MANY_CLAIMS = 3  # fewer than the deaths of a worker within a minute that end the hub


class SqliteQueue:
    """Sends, delivers and releases messages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def send(self, message: Message) -> None:
        self._database.write(
            "INSERT INTO queue (kind, server_id, launch_id, text, visible_at) VALUES (?, ?, ?, ?, 0)",
            (message.kind.value, message.server_id, message.launch_id, message.text),
        )

    def receive(
        self, limit: int, visible_after: timedelta, now: datetime, *, held: Collection[str] = ()
    ) -> list[Received]:
        """Claim up to *limit* messages, oldest first. A message that is not deleted in time is delivered again.

        Messages to launch wait on, without a claim, where their launch is among those *held*.
        """
        rows = self._database.read(
            "SELECT id, attempts FROM queue WHERE (visible_at <= ? OR visible_at > ?)"
            " AND NOT (kind = ? AND launch_id IN (SELECT value FROM json_each(?))) ORDER BY id LIMIT ?",
            (to_number(now), to_number(now + LONGEST_WAIT), MessageKind.LAUNCH.value, json.dumps(sorted(held)), limit),
        )
        until = now + visible_after
        return [got for row_id, tries in rows if (got := self._claim(row_id, tries, until)) is not None]

    def delete(self, receipt: str) -> None:
        """Delete a processed message, unless another worker has claimed it since."""
        self._database.write("DELETE FROM queue WHERE id = ? AND attempts = ?", _claim_of(receipt))

    def release(self, receipt: str, after: timedelta, now: datetime) -> None:
        self._database.write(
            "UPDATE queue SET visible_at = ? WHERE id = ? AND attempts = ?",
            (to_number(now + after), *_claim_of(receipt)),
        )

    def end_claims(self) -> None:
        """Deliver at once what a worker that is gone had claimed, and what waits to be tried again.

        A message that was claimed often waits on: it may be what ends the workers.
        """
        self._database.write("UPDATE queue SET visible_at = 0 WHERE visible_at > 0 AND attempts < ?", (MANY_CLAIMS,))

    def depth(self) -> int:
        """Return how many messages there are, including claimed ones."""
        found: int = self._database.read_one("SELECT count(*) FROM queue")[0]
        return found

    def _claim(self, row_id: int, attempts: int, until: datetime) -> Received | None:
        with self._database.transaction():
            # The number of attempts is the claim: only one worker raises it from the value that it read.
            if not self._database.write(
                "UPDATE queue SET attempts = ?, visible_at = ? WHERE id = ? AND attempts = ?",
                (attempts + 1, to_number(until), row_id, attempts),
            ):
                return None
            kind, server_id, launch_id, text = self._database.read_one(
                "SELECT kind, server_id, launch_id, text FROM queue WHERE id = ?", (row_id,)
            )
        message = Message(MessageKind(kind), server_id, launch_id, text)
        return Received(f"{row_id}.{attempts + 1}", message, attempts + 1)


def _claim_of(receipt: str) -> tuple[int, int]:
    row_id, _, attempts = receipt.partition(".")
    return int(row_id), int(attempts)

"""Letters and their deliveries in SQLite."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain.errors import NotFoundError
from hubless.domain.letters import MOST_OF_USER, Delivery, Letter

_COLUMNS = (
    "l.id, l.subject, l.text, l.sent_by, l.sent_at, l.expires_at, l.sender, l.by_mail, l.reached, l.read, l.erased"
)
_NOBODY_READS_IT = 0  # the time of reading of who has not read a letter that was taken back
_LETTER = len(_COLUMNS.split(", "))


class SqliteLetterStore:
    """Stores letters. Foreign keys remove the deliveries of a letter or a user that goes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, letter: Letter) -> bool:
        written = self._database.write(
            "INSERT INTO letters (id, subject, text, sent_by, sent_at, expires_at, sender, by_mail, reached, read)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0) ON CONFLICT (id) DO NOTHING",
            (
                letter.id,
                letter.subject,
                letter.text,
                letter.sent_by,
                to_number(letter.sent_at),
                to_number(letter.expires_at),
                letter.sender,
                int(letter.by_mail),
            ),
        )
        return written > 0

    def get(self, letter_id: str, now: datetime) -> Letter | None:
        found = self.known(letter_id, now)
        return None if found is None or found.is_taken_back else found

    def known(self, letter_id: str, now: datetime) -> Letter | None:
        row = self._database.read_one(
            f"SELECT {_COLUMNS} FROM letters l WHERE l.id = ? AND l.expires_at > ?",  # noqa: S608 our names
            (letter_id, to_number(now)),
        )
        return None if row is None else _letter(row)

    def page(self, now: datetime, *, limit: int, before: str = "") -> list[Letter]:
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM letters l WHERE l.expires_at > :now AND l.erased = ''"  # noqa: S608 our names
            " AND (:before = '' OR l.id < :before)"
            " ORDER BY l.id DESC LIMIT :limit",
            {"now": to_number(now), "before": before, "limit": limit},
        )
        return [_letter(row) for row in rows]

    def take_back(self, letter: Letter) -> bool:
        left = letter.taken_back()
        with self._database.transaction():
            written = self._database.write(
                "UPDATE letters SET subject = ?, text = ?, erased = ? WHERE id = ? AND erased = ''",
                (left.subject, left.text, left.erased, left.id),
            )
            if written:
                self._database.write(
                    "UPDATE deliveries SET read_at = ? WHERE letter_id = ? AND read_at IS NULL",
                    (_NOBODY_READS_IT, left.id),
                )
        return written > 0

    def deliver(self, letter: Letter, user_id: str) -> bool:
        row = (user_id, letter.id)
        with self._database.transaction():
            if self._database.read_one("SELECT 1 FROM deliveries WHERE user_id = ? AND letter_id = ?", row) is not None:
                return False
            self._require(letter.id, user_id)
            self._database.write("INSERT INTO deliveries (user_id, letter_id) VALUES (?, ?)", row)
            self._database.write("UPDATE letters SET reached = reached + 1 WHERE id = ?", (letter.id,))
            self._database.write(
                "DELETE FROM deliveries WHERE user_id = ?1 AND letter_id NOT IN"
                " (SELECT letter_id FROM deliveries WHERE user_id = ?1 ORDER BY letter_id DESC LIMIT ?2)",
                (user_id, MOST_OF_USER),
            )
        return True

    def _require(self, letter_id: str, user_id: str) -> None:
        if self._database.read_one("SELECT 1 FROM letters WHERE id = ? AND erased = ''", (letter_id,)) is None:
            raise NotFoundError("Message", letter_id)
        if self._database.read_one("SELECT 1 FROM users WHERE id = ?", (user_id,)) is None:
            raise NotFoundError("User", user_id)

    def of_user(self, user_id: str, now: datetime) -> list[Delivery]:
        rows = self._database.read(
            f"SELECT {_COLUMNS}, d.user_id, d.read_at, d.is_put_away, d.mailed_at FROM deliveries d"  # noqa: S608 our names
            " JOIN letters l ON l.id = d.letter_id WHERE d.user_id = ? AND l.expires_at > ? AND l.erased = ''"
            " ORDER BY d.letter_id DESC LIMIT ?",
            (user_id, to_number(now), MOST_OF_USER),
        )
        return [_delivery(row) for row in rows]

    def mark_read(self, letter_id: str, user_id: str, at: datetime, *, put_away: bool = False) -> bool:
        with self._database.transaction():
            row = self._database.read_one(
                "SELECT d.read_at FROM deliveries d JOIN letters l ON l.id = d.letter_id"
                " WHERE d.user_id = ? AND d.letter_id = ? AND l.erased = ''",
                (user_id, letter_id),
            )
            if row is None:
                return False
            self._database.write(
                "UPDATE deliveries SET read_at = coalesce(read_at, ?), is_put_away = max(is_put_away, ?)"
                " WHERE user_id = ? AND letter_id = ?",
                (to_number(at), int(put_away), user_id, letter_id),
            )
            if row[0] is None:
                self._database.write("UPDATE letters SET read = read + 1 WHERE id = ?", (letter_id,))
        return True

    def forget(self, user_id: str, letter_ids: Collection[str]) -> None:
        """Do nothing: the list is read from the deliveries, which go with their letter."""

    def claim_mail(self, letter_id: str, user_id: str, at: datetime) -> bool:
        written = self._database.write(
            "UPDATE deliveries SET mailed_at = ? WHERE user_id = ? AND letter_id = ? AND mailed_at IS NULL",
            (to_number(at), user_id, letter_id),
        )
        return written > 0

    def release_mail(self, letter_id: str, user_id: str) -> None:
        self._database.write(
            "UPDATE deliveries SET mailed_at = NULL WHERE user_id = ? AND letter_id = ?", (user_id, letter_id)
        )

    def delete_expired(self, now: datetime, limit: int) -> int:
        return self._database.write(
            "DELETE FROM letters WHERE id IN (SELECT id FROM letters WHERE expires_at <= ? LIMIT ?)",
            (to_number(now), limit),
        )


def _letter(row: Sequence[Any]) -> Letter:
    letter_id, subject, text, sent_by, sent_at, expires_at, sender, by_mail, reached, read, erased = row[:_LETTER]
    return Letter(
        letter_id,
        subject,
        text,
        sent_by,
        _instant(sent_at),
        _instant(expires_at),
        sender,
        bool(by_mail),
        reached,
        read,
        erased,
    )


def _delivery(row: Sequence[Any]) -> Delivery:
    user_id, read_at, is_put_away, mailed_at = row[_LETTER:]
    return Delivery(_letter(row), user_id, to_instant(read_at), bool(is_put_away), to_instant(mailed_at))


def _instant(number: int) -> datetime:
    found = to_instant(number)
    assert found is not None  # noqa: S101 the columns are NOT NULL
    return found

"""Audit records as JSON, one a line: what the API answers, and what page and command offer as a file."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from hubless.domain.audit import Act, AuditQuery, AuditRecord, Place
from hubless.domain.bounds import MAX_USER_NAME
from hubless.domain.errors import InvalidRequestError
from hubless.services.auditing import Auditing

MEDIA_TYPE: Final = "application/jsonl"
MOST_UNSTREAMED: Final = 10_000  # records of an answer that is sent when it is whole: Lambda's answers have 6 MB


def model(record: AuditRecord) -> dict[str, Any]:
    """Return *record* as the API has it."""
    by = record.by
    return {
        "id": record.id,
        "at": record.at,
        "act": record.act.value,
        "by": {
            "kind": by.kind.value,
            "name": by.name or None,
            "address": by.address or None,
            "token": by.token_id or None,
        },
        "on": record.on or None,
        "about": dict(record.about),
        "count": record.count,
        "others": record.others,
    }


def query_of(given: Mapping[str, str], auditing: Auditing) -> AuditQuery:
    """Return the query that *given* describes: `by`, `on`, `act`, `since`, `until` and `before`.

    Raises:
        InvalidRequestError: naming what is wrong.
    """
    by, on = (given.get(key, "").strip() for key in ("by", "on"))
    if max(len(by), len(on)) > MAX_USER_NAME:
        raise InvalidRequestError(f"by and on have at most {MAX_USER_NAME} characters")
    cursor = given.get("before", "")
    return auditing.query(
        by=by,
        on=on,
        act=_act(given.get("act", "")),
        since=_instant("since", given.get("since", "")),
        until=_instant("until", given.get("until", "")),
        before=Place.of_cursor(cursor) if cursor else None,
    )


def lines(auditing: Auditing, query: AuditQuery, *, most: int | None = None) -> Iterator[bytes]:
    """Yield the records of the query as JSON lines, the newest first; it reads one page at a time.

    Args:
        auditing: the records.
        query: which of them.
        most: how many at most; None for all. If there are more, a last line says from where to go on: `{"next": …}`.
    """
    number = 0
    for page in auditing.pages(query):
        if page.records:
            yield b"".join(orjson.dumps(model(one), option=_OPTIONS) for one in page.records)
        number += len(page.records)
        if most is not None and number >= most and page.after is not None:
            yield orjson.dumps({"next": page.after.cursor}, option=_OPTIONS)
            return


def as_line(record: AuditRecord) -> str:
    """Return *record* as one line of JSON, without its end."""
    line: bytes = orjson.dumps(model(record), option=orjson.OPT_UTC_Z)
    return line.decode()


_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE


def _act(given: str) -> Act | None:
    try:
        return Act(given) if given else None
    except ValueError:
        raise InvalidRequestError(f"act must be one of {', '.join(Act)}, and not {given!r:.60}") from None


def _instant(key: str, given: str) -> datetime | None:
    """Return an instant; a day alone begins at midnight in UTC, and `until` a day means its end."""
    if not given:
        return None
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        raise InvalidRequestError(f"{key} must be a day or an instant, such as 2026-11-28, not {given!r:.60}") from None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    is_day = len(given) == len("2026-11-28")
    try:
        return found + timedelta(days=1) if is_day and key == "until" else found.astimezone(UTC)
    except OverflowError:
        raise InvalidRequestError(f"{key} is out of range: {given:.40}") from None

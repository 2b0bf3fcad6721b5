"""Who waits for a place in a full hub, in the order in which they first asked.

A page that waits asks again and again. Who has not asked for a while has gone, and holds up nobody any more.
"""

from datetime import datetime, timedelta

from hubless.domain.values import value

GONE_AFTER = timedelta(minutes=2)  # browsers let a page in the background act once a minute
MOST_AHEAD = 200  # people who are counted before somebody: who has more ahead is told no number


@value
class Waiting:
    """A user who waits for a place *since* an instant, and asked last at *seen_at*: each has one place in the line."""

    owner_id: str
    since: datetime
    seen_at: datetime


def waits(seen_at: datetime, now: datetime) -> bool:
    """Say whether who asked at *seen_at* still waits; what a wrong clock wrote into the future counts no more."""
    return abs(now - seen_at) < GONE_AFTER

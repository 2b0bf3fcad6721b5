"""Instants as people write them: a date and a time on the clock of a place."""

from datetime import UTC, datetime, tzinfo
from typing import Final

from hubless.domain.errors import InvalidRequestError
from hubless.domain.translatable import gettext as _

_LONGEST: Final = 40  # characters of a time, or of a zone's name


def zone_of(name: str) -> tzinfo:
    """Return the time zone of this IANA name, such as `Europe/Berlin`.

    Raises:
        InvalidRequestError: when there is none.
    """
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # noqa: PLC0415 few requests need one

    try:
        return ZoneInfo(_bounded(name))
    except (OSError, ValueError, LookupError):
        raise InvalidRequestError(
            _("%(zone)s is no time zone. Write it as in Europe/Berlin.", zone=name[:_LONGEST] or "-")
        ) from None


def instant_of(text: str, zone: tzinfo) -> datetime:
    """Return the instant of an ISO 8601 date and time, in UTC; without an offset it is one of *zone*.

    A time that comes twice when clocks go back is the first of both. One that they skip is that of clocks which were
    not changed (PEP 495).

    Raises:
        InvalidRequestError: when *text* is none.
    """
    try:
        found = datetime.fromisoformat(_bounded(text).strip())
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequestError(
            _("%(text)s is no date with a time. Write it as in 2026-11-30 18:00.", text=text[:_LONGEST] or "-")
        ) from None


def on_the_clock(at: datetime, zone: tzinfo) -> str:
    """Return *at* as a field of a form has it: date and time of *zone*, to the minute."""
    return at.astimezone(zone).strftime("%Y-%m-%dT%H:%M")


def _bounded(text: str) -> str:
    if len(text) > _LONGEST:
        raise ValueError
    return text

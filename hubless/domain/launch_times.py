"""How long launches of a profile take as a rule: an estimate from the latest ones, or none."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from hubless.domain.translatable import Message, ngettext
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value

RECENT = 20  # launches of a profile that are remembered
AT_LEAST = 3  # that an estimate needs: one launch may have met a machine without the image
COUNT_FOR = timedelta(days=30)  # later the image, or the machines, are probably others
_SLACK = timedelta(seconds=10)
_ZERO, _SECOND, _MINUTE = timedelta(), timedelta(seconds=1), timedelta(minutes=1)
_FEW, _STEP = timedelta(seconds=5), timedelta(seconds=5)  # what people call a few seconds; and how exact others are


@value
class LaunchTime:
    """How long one launch *took* from its task to the ready server, and when it was ready."""

    at: datetime
    took: timedelta


def with_newest(times: Sequence[LaunchTime], newest: LaunchTime) -> tuple[LaunchTime, ...]:
    """Return *times*, oldest first, with one more, and only as many as are remembered."""
    return (*times, newest)[-RECENT:]


def usual(times: Sequence[LaunchTime], now: datetime) -> timedelta | None:
    """Return the median of the latest launches, so that one very slow one changes little; None if too few are known."""
    known = sorted(max(one.took, _ZERO) for one in times if abs(now - one.at) < COUNT_FOR)
    return known[len(known) // 2] if len(known) >= AT_LEAST else None


def is_late(elapsed: timedelta, usually: timedelta) -> bool:
    """Say whether a launch that has lasted for *elapsed* takes clearly longer than *usually*."""
    return elapsed > 2 * usually + _SLACK


def about(took: timedelta) -> Message:
    """Return *took* in words that promise no more than an estimate can, such as `about 40 seconds`."""
    if took <= _FEW:
        return _("a few seconds")
    seconds = -(-took // _STEP) * _STEP  # rounded up: rather too long than too short
    if seconds < _MINUTE:
        return _("about %(count)s seconds", count=seconds // _SECOND)
    return ngettext("about a minute", "about %(count)s minutes", (took + _MINUTE / 2) // _MINUTE or 1)

"""Durations in words."""

from collections.abc import Callable
from datetime import timedelta

from hubless.domain.translatable import Message, ngettext
from hubless.domain.translatable import gettext as _

_UNITS: tuple[tuple[timedelta, Callable[[int], Message]], ...] = (
    (timedelta(days=1), lambda count: ngettext("%(count)s day", "%(count)s days", count)),
    (timedelta(hours=1), lambda count: ngettext("%(count)s hour", "%(count)s hours", count)),
    (timedelta(minutes=1), lambda count: ngettext("%(count)s minute", "%(count)s minutes", count)),
    (timedelta(seconds=1), lambda count: ngettext("%(count)s second", "%(count)s seconds", count)),
)


def in_words(duration: timedelta) -> Message:
    """Return *duration* in its largest unit and the next smaller one, such as `1 hour 30 minutes`.

    What remains below that is left out; less than a second is `0 seconds`.
    """
    place = next((place for place, (unit, _say) in enumerate(_UNITS) if duration >= unit), len(_UNITS) - 1)
    said = list[Message]()
    for unit, say in _UNITS[place : place + 2]:
        count, duration = divmod(max(duration, timedelta()), unit)
        if count or not said:
            said.append(say(count))
    return said[0] if len(said) == 1 else _("%(larger)s %(smaller)s", larger=said[0], smaller=said[1])

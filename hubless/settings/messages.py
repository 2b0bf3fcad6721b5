"""The section `[messages]`."""

from datetime import timedelta

from hubless.domain.values import value
from hubless.settings.types import DURATION, SettingsError, setting

_LONGEST = timedelta(days=366)


@value
class MessagesSettings:
    """What admins send to people."""

    keep: timedelta = setting("90d", DURATION, "How long the hub keeps a message, read or not; 366 days at most")


def checked_messages(given: MessagesSettings) -> MessagesSettings:
    """Return *given* as it is.

    Raises:
        SettingsError: when messages would be kept for too long, or not at all.
    """
    if not timedelta(days=1) <= given.keep <= _LONGEST:
        raise SettingsError("messages.keep must be between 1d and 366d")
    return given

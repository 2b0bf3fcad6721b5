"""The section `[audit]`."""

from datetime import timedelta

from hubless.domain.values import value
from hubless.settings.types import DURATION, SettingsError, setting

_LONGEST = timedelta(days=3650)


@value
class AuditSettings:
    """The record of who did what."""

    keep: timedelta = setting("365d", DURATION, "How long the hub keeps who did what; ten years at most")


def checked_audit(given: AuditSettings) -> AuditSettings:
    """Return *given* as it is.

    Raises:
        SettingsError: when records would be kept for too long, or not at all.
    """
    if not timedelta(days=1) <= given.keep <= _LONGEST:
        raise SettingsError("audit.keep must be between 1d and 3650d")
    return given

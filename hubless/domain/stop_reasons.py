"""Why a server was stopped, or will be: a fact of the record, and a sentence for its owner."""

from datetime import timedelta
from enum import StrEnum

from hubless.domain import durations
from hubless.domain.translatable import Message
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value


class StopCause(StrEnum):
    """What led to a stop that is no failure."""

    OWNER = "owner"
    USER = "user"  # somebody else, such as an admin
    SERVICE = "service"
    IDLE = "idle"
    AGE = "age"
    HUB = "hub"  # the hub was shut down
    BUDGET = "budget"
    FROZEN = "frozen"
    FILES = "files"  # the owner's home is larger than its limit


@value
class StopReason:
    """Why a server was stopped.

    Args:
        cause: what led to the stop.
        by: the name of the user or service that asked for it, or of the budget; "" for other causes.
        limit: the limit that the server reached; None for other causes.
    """

    cause: StopCause
    by: str = ""
    limit: timedelta | None = None

    @property
    def sentence(self) -> Message:  # noqa: C901, PLR0911 one for each cause
        """Return the reason for the server's owner."""
        limit = durations.in_words(self.limit or timedelta())
        match self.cause:
            case StopCause.OWNER:
                return _("You stopped this server")
            case StopCause.USER:
                return _("%(name)s stopped this server", name=self.by)
            case StopCause.SERVICE:
                return _("The service %(name)s stopped this server", name=self.by)
            case StopCause.IDLE:
                return _("Stopped after %(limit)s without activity", limit=limit)
            case StopCause.AGE:
                return _("Stopped after %(limit)s, the longest time that a server may run", limit=limit)
            case StopCause.HUB:
                return _("Stopped when the hub was shut down")
            case StopCause.BUDGET:
                return _("Stopped because the budget %(name)s is used up", name=self.by)
            case StopCause.FROZEN:
                return _("Stopped after it had not answered for %(limit)s", limit=limit)
            case StopCause.FILES:
                return _("Stopped after %(limit)s, because your files take more room than they may", limit=limit)

    @property
    def expectation(self) -> Message:
        """Return the limit that a running server has, for its owner."""
        limit = durations.in_words(self.limit or timedelta())
        if self.cause is StopCause.AGE:
            return _("No server may run longer than %(limit)s.", limit=limit)
        if self.cause is StopCause.FROZEN:
            return _("A server that does not answer for %(limit)s is stopped.", limit=limit)
        if self.cause is StopCause.FILES:
            return _(
                "Your files take more room than they may, so a server runs for %(limit)s. It runs on when you have"
                " removed enough.",
                limit=limit,
            )
        return _("A server that nobody uses for %(limit)s is stopped.", limit=limit)


def asked_by(name: str, owner_name: str, *, is_service: bool = False) -> StopReason:
    """Return the reason of a stop that the user or service *name* asked for."""
    if is_service:
        return StopReason(StopCause.SERVICE, name)
    return StopReason(StopCause.OWNER) if name == owner_name else StopReason(StopCause.USER, name)

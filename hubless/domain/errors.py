"""What can go wrong in words of the product; callers decide on statuses and retries.

Errors carry facts as attributes and know nothing of HTTP. Normal answers ("keep", "denied") are values, not errors.
"""

from datetime import timedelta
from typing import ClassVar


class HublessError(Exception):
    """An anticipated failure; *code* is stable and safe to show."""

    code: ClassVar[str] = "error"


class NotFoundError(HublessError):
    """Raised when something named does not exist (or is not to be known of)."""

    code = "not-found"

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{kind} {name!r} does not exist")
        self.kind = kind
        self.name = name


class NameTakenError(HublessError):
    """Raised when a name is to be given twice."""

    code = "name-taken"

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{kind} {name} already exists")
        self.kind = kind
        self.name = name


class InvalidRequestError(HublessError):
    """Raised when an asker's input breaks a rule; the message is a sentence that names what is wrong."""

    code = "invalid"


class IllegalTransitionError(HublessError):
    """Raised when an event does not fit the state that a server is in."""

    code = "illegal-transition"

    def __init__(self, state: str, event: str) -> None:
        super().__init__(f"a server that is {state} cannot {event}")
        self.state = state
        self.event = event


class NotPermittedError(HublessError):
    """Raised when the asker lacks every one of the scopes that would do."""

    code = "not-permitted"

    def __init__(self, message: str, *, needs: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.needs = needs


class QuotaExceededError(HublessError):
    """Raised when a limit of the hub or of the owner is reached; *retry* says whether waiting helps."""

    code = "quota-exceeded"

    def __init__(self, message: str, *, limit: int, retry: bool = False) -> None:
        super().__init__(message)
        self.limit = limit
        self.retry = retry


class StoreConflictError(HublessError):
    """Raised when a conditional write found another state than it named; nothing was written."""

    code = "conflict"


class StoreUnavailableError(HublessError):
    """Raised when the store cannot be reached, read or written; the message says why and how to mend it."""

    code = "store-unavailable"


class EdgeUnavailableError(HublessError):
    """Raised when the edge's machine cannot be started or stopped however often it is tried; the message says how to mend it."""

    code = "edge-unavailable"


class EdgeCapacityError(HublessError):
    """Raised when there is no room for the edge's machine: it may be there in a while, and nobody can say when."""

    code = "edge-full"


class LaunchFailedError(HublessError):
    """Raised when a launch cannot succeed however often it is tried; the message is the reason in words."""

    code = "launch-failed"


class RetryLaterError(HublessError):
    """Raised when what a message asks is not possible now but will be; *after* says when to ask again."""

    code = "not-yet"

    def __init__(self, message: str, *, after: timedelta = timedelta(seconds=1)) -> None:
        super().__init__(message)
        self.after = after


class CapacityUnavailableError(RetryLaterError):
    """Raised when a launch cannot be taken now but may be later."""

    code = "capacity-unavailable"

"""The errors that the hub anticipates; callers decide on statuses and retries.

Errors carry facts as attributes and know nothing of HTTP. Normal answers ("keep", "refused") are values, not errors.
"""

from datetime import timedelta
from typing import ClassVar

from hubless.domain.translatable import Message
from hubless.domain.translatable import gettext as _


class HublessError(Exception):
    """An anticipated failure; *code* is stable and safe to show."""

    code: ClassVar[str] = "error"

    @property
    def message(self) -> str:
        """Return the sentence; pages can show it in another language if it is a `Message`."""
        said = self.args[0] if self.args else ""
        return said if isinstance(said, Message) else str(self)


# A sentence for each kind that pages name: a word alone has no one translation.
_ANY_MISSING = _("%(kind)s %(name)s does not exist")
_MISSING = {
    "Announcement": _("Announcement %(name)s does not exist"),
    "Group": _("Group %(name)s does not exist"),
    "Identity": _("Identity %(name)s does not exist"),
    "Provider": _("Provider %(name)s does not exist"),
    "Schedule": _("Schedule %(name)s does not exist"),
    "Server": _("Server %(name)s does not exist"),
    "Service": _("Service %(name)s does not exist"),
    "Session": _("Session %(name)s does not exist"),
    "Share": _("Share %(name)s does not exist"),
    "Share code": _("Share code %(name)s does not exist"),
    "Sign-up": _("Sign-up %(name)s does not exist"),
    "Token": _("Token %(name)s does not exist"),
    "User": _("User %(name)s does not exist"),
}
_ANY_TAKEN = _("%(kind)s %(name)s already exists")
_TAKEN = {
    "Group": _("Group %(name)s already exists"),
    "Schedule": _("Schedule %(name)s already exists"),
    "Server": _("Server %(name)s already exists"),
    "Service": _("Service %(name)s already exists"),
    "User": _("User %(name)s already exists"),
}


class NotFoundError(HublessError):
    """Raised when the named object does not exist, or when the caller may not know that it does."""

    code = "not-found"

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(_(_MISSING.get(kind, _ANY_MISSING), kind=kind, name=repr(name)))
        self.kind = kind
        self.name = name


class NameTakenError(HublessError):
    """Raised when the name is taken already, or looks like *looks_like*, which is."""

    code = "name-taken"

    def __init__(self, kind: str, name: str, *, looks_like: str | None = None) -> None:
        alike = _(
            "The name %(name)s looks like %(other)s, which is taken. Choose another name",
            name=repr(name),
            other=repr(looks_like),
        )
        super().__init__(alike if looks_like else _(_TAKEN.get(kind, _ANY_TAKEN), kind=kind, name=name))
        self.kind = kind
        self.name = name
        self.looks_like = looks_like


class IdentityTakenError(HublessError):
    """Raised when an identity of a provider is linked to another user already."""

    code = "identity-taken"

    def __init__(self, provider: str, label: str) -> None:
        super().__init__(
            _(
                "The login %(label)s at %(provider)s belongs to another user",
                label=label or _("of this person"),
                provider=provider or _("this provider"),
            )
        )
        self.provider = provider
        self.label = label


class InvalidRequestError(HublessError):
    """Raised when input breaks a rule; the message is a sentence that names the fault."""

    code = "invalid"


class OptionRefusedError(InvalidRequestError):
    """Raised when an *option* of a profile is wrong; the message is a sentence that names it as the page does."""

    code = "option-refused"

    def __init__(self, option: str, message: str) -> None:
        super().__init__(message)
        self.option = option


class MailFailedError(HublessError):
    """Raised when a mail cannot be sent; the message is for the person who waits for it. *retry* says if it helps."""

    code = "mail-failed"

    def __init__(self, message: str, *, retry: bool = True) -> None:
        super().__init__(message)
        self.retry = retry


class IllegalTransitionError(HublessError):
    """Raised when an event does not fit the server's state."""

    code = "illegal-transition"

    def __init__(self, state: str, event: str) -> None:
        super().__init__(f"a server that is {state} cannot {event}")
        self.state = state
        self.event = event


class NotPermittedError(HublessError):
    """Raised when the caller has none of the scopes that allow the request; *needs* lists them."""

    code = "not-permitted"

    def __init__(self, message: str, *, needs: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.needs = needs


class NotAllowedError(HublessError):
    """Raised when the settings let a person not log in, or the hub cannot tell whose login it is.

    The message says so to the person; *contact* says whom to ask.
    """

    code = "not-allowed"

    def __init__(self, message: str, *, contact: str = "") -> None:
        super().__init__(message)
        self.contact = contact


class QuotaExceededError(HublessError):
    """Raised when a limit of the hub or of the owner is reached.

    *retry* says whether waiting helps, and *after* how long to wait, if that is known. *ahead* is how many wait before
    who asked, where that is known.
    """

    code = "quota-exceeded"

    def __init__(
        self,
        message: str,
        *,
        limit: int,
        retry: bool = False,
        after: timedelta | None = None,
        ahead: int | None = None,
    ) -> None:
        super().__init__(message)
        self.limit = limit
        self.retry = retry
        self.after = after
        self.ahead = ahead


class BudgetReachedError(QuotaExceededError):
    """Raised when a start would exceed a budget; *retry* says whether the end of another server helps."""

    code = "budget-reached"


class MaintenanceError(HublessError):
    """Raised when a server cannot start because of maintenance; *after* is how long that lasts, if it is known."""

    code = "maintenance"

    def __init__(self, message: str, *, after: timedelta | None = None) -> None:
        super().__init__(message)
        self.after = after


class LedgerFullError(HublessError):
    """Raised when a ledger has no room for a server, or has changed; the caller reads it again."""

    code = "ledger-full"

    def __init__(self, key: str) -> None:
        super().__init__(f"The ledger {key} has no room, or has changed")
        self.key = key


class LtiRefusedError(HublessError):
    """Raised when a message or a registration of an LMS is refused; the message says what to set there."""

    code = "lti-refused"


class LtiServiceError(HublessError):
    """Raised when a service of an LMS refuses a request or cannot be reached; the message says which, and why."""

    code = "lti-service"


class StoreConflictError(HublessError):
    """Raised when a conditional write found another state than it expected; nothing was written."""

    code = "conflict"


class StoreUnavailableError(HublessError):
    """Raised when the store cannot be reached, read or written; the message says why and what to do."""

    code = "store-unavailable"


class StoreBusyError(StoreUnavailableError):
    """Raised when somebody else has written for so long that this write was given up. A retry helps."""

    code = "store-busy"


class LoginUnavailableError(HublessError):
    """Raised when what decides about a login does not answer, or fails; the message names it and says what to do."""

    code = "login-unavailable"


class EdgeUnavailableError(HublessError):
    """Raised when the edge's machine cannot be started or stopped, retry or not; the message says what to do."""

    code = "edge-unavailable"


class EdgeCapacityError(HublessError):
    """Raised when EC2 has no capacity for the edge's machine now; a later retry may succeed."""

    code = "edge-full"


class LaunchFailedError(HublessError):
    """Raised when a launch fails and a retry does not help; the message is the reason, for the owner."""

    code = "launch-failed"


class HomeTaskError(HublessError):
    """Raised when a home cannot be moved or deleted; the message says what is in the way and what to do."""

    code = "home-task"


class CannotAdoptError(HublessError):
    """Raised when a stray cannot be adopted; the message completes «Cannot adopt …: » for an operator."""

    code = "cannot-adopt"


class IsolationError(HublessError):
    """Raised when servers cannot be isolated as the settings say; the message has the reasons and what to do."""

    code = "isolation"


class RetryLaterError(HublessError):
    """Raised when a message cannot be handled now but can be later; *after* says when to retry."""

    code = "not-yet"

    def __init__(self, message: str, *, after: timedelta = timedelta(seconds=1)) -> None:
        super().__init__(message)
        self.after = after


class CapacityUnavailableError(RetryLaterError):
    """Raised when the launcher has no capacity now; a later retry may succeed."""

    code = "capacity-unavailable"


class ProviderUnavailableError(HublessError):
    """Raised when a provider of logins is not reached or answers nonsense; the message says which and why."""

    code = "provider-unavailable"


class LoginRefusedError(HublessError):
    """Raised when what a provider says logs nobody in; the message says why, for the person, and has no secret."""

    code = "login-refused"

"""What keeps an operator's command from doing what it is for."""

from hubless.domain.errors import HublessError


class OperationsError(HublessError):
    """Raised when a command cannot go on; the message says why and what to do."""

    code = "operations"

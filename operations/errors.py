"""The error that ends an operator's command."""

from hubless.domain.errors import HublessError


class OperationsError(HublessError):
    """Raised when a command cannot continue. The message says why, and what to do."""

    code = "operations"

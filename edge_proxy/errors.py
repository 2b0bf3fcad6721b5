"""What goes wrong at the edge."""

from hubless.domain.errors import HublessError


class EdgeError(HublessError):
    """Raised when the proxy cannot run; the message says why and what to do."""

    code = "edge"

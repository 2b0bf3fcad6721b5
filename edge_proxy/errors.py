"""Errors of the edge."""

from hubless.domain.errors import HublessError


class EdgeError(HublessError):
    """Raised when HAProxy cannot run or does not answer; the message says why and what to do."""

    code = "edge"

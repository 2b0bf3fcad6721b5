"""Errors of the edge."""

from hubless.domain.errors import HublessError


class EdgeError(HublessError):
    """Raised when HAProxy cannot run or does not answer; the message says why and what to do."""

    code = "edge"


class UnreachableError(EdgeError):
    """Raised when nobody listens at the socket of HAProxy's Runtime API: HAProxy has ended, or its socket is gone."""


class SilentError(EdgeError):
    """Raised when HAProxy takes a command of the Runtime API and does not answer in time."""

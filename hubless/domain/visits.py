"""Visits: when a person last logged in, with a browser, at somebody else's server."""

from datetime import datetime, timedelta

from hubless.domain.values import value

KEPT_FOR = timedelta(days=30)
MAX_SHOWN = 200  # that a page asks for


@value
class Visit:
    """The latest login of one person at one server of another. It outlives the server, and the person."""

    owner_id: str
    server_id: str
    server_name: str  # as it was then
    visitor_id: str
    visitor_name: str  # as it was then
    by_role: bool  # whether a role let the person in, such as an admin's; otherwise a share
    at: datetime

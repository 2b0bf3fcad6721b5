"""Tries the mail server: a connection, its encryption and the hub's user, so that an operator sees a fault first."""

from embedded.preflight import PreflightError
from hubless.adapters.system_clock import SystemClock
from hubless.bootstrap.people import smtp_mailer_of
from hubless.domain.errors import MailFailedError
from hubless.settings import Settings


def check(settings: Settings) -> None:
    """Connect to the mail server as each mail will, and send none. SES is not asked.

    Raises:
        PreflightError: with what the server said.
    """
    if settings.mail.kind != "smtp":
        return
    try:
        smtp_mailer_of(settings.mail, SystemClock()).check()
    except MailFailedError as failed:
        raise PreflightError(str(failed)) from failed

"""Mails by SMTP (RFC 5321), with STARTTLS (RFC 3207) or TLS from the first byte (RFC 8314)."""

import contextlib
import logging
from collections.abc import Callable
from dataclasses import field
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid, parseaddr
from typing import TYPE_CHECKING

from hubless.domain.errors import MailFailedError
from hubless.domain.mails import Mail, host_of
from hubless.domain.values import value
from hubless.ports.clock import Clock

if TYPE_CHECKING:
    import smtplib
    import ssl

logger = logging.getLogger(__name__)
SECONDS = 10  # for each answer of the server
NOT_SENT = "The hub could not send the mail. Try again in a few minutes, or ask the hub's admin."
REFUSED_ADDRESS = "The mail server does not take mails to this address. Check it for typing errors."
_LASTING = 500  # RFC 5321 4.2.1: replies from 500 will be the same next time


def _default_context() -> "ssl.SSLContext":
    import ssl  # noqa: PLC0415 few requests send mail

    return ssl.create_default_context()


@value
class SmtpMailer:
    """Sends each mail in a connection of its own. The server's certificate must be valid for *host*."""

    host: str
    port: int
    sender: str  # "Name <address>", or an address
    clock: Clock
    security: str = "starttls"  # or "tls", or "none"
    user: str = ""
    password: str = field(default="", repr=False)
    context: Callable[[], "ssl.SSLContext"] = _default_context

    def send(self, mail: Mail) -> None:
        import smtplib  # noqa: PLC0415 few requests send mail

        try:
            server = self._connection()
            try:
                server.send_message(message_of(mail, self.sender, self.clock))
            finally:
                with contextlib.suppress(smtplib.SMTPException, OSError):  # the mail is taken, or refused, already
                    server.quit()
        except smtplib.SMTPRecipientsRefused as refused:
            code, said = next(iter(refused.recipients.values()))
            self._log(mail, f"{code} {_text(said)}")
            if code >= _LASTING:
                raise MailFailedError(REFUSED_ADDRESS, retry=False) from refused
            raise MailFailedError(NOT_SENT) from refused
        except (smtplib.SMTPException, OSError) as failed:
            self._log(mail, _told(failed))
            raise MailFailedError(NOT_SENT) from failed

    def check(self) -> None:
        """Connect, encrypt and log in as for a mail, and send none.

        Raises:
            MailFailedError: with what the server said, for an operator.
        """
        import smtplib  # noqa: PLC0415 few requests send mail

        try:
            server = self._connection()
            with contextlib.suppress(smtplib.SMTPException, OSError):
                server.quit()
        except (smtplib.SMTPException, OSError) as failed:
            told = f"The mail server {self.host}:{self.port} would take no mail of the hub: {_told(failed)}."
            remedy = "Check mail.host, mail.port, mail.security, mail.user and its password."
            raise MailFailedError(f"{told} {remedy}") from failed

    def _connection(self) -> "smtplib.SMTP":
        """Return a connection that is encrypted and logged in, as far as the settings say so."""
        import smtplib  # noqa: PLC0415 few requests send mail

        # A name of its own for the greeting: asking the system for one may take as long as a broken DNS.
        name = host_of(parseaddr(self.sender)[1])
        if self.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self.host, self.port, local_hostname=name, timeout=SECONDS, context=self.context()
            )
        else:
            server = smtplib.SMTP(self.host, self.port, local_hostname=name, timeout=SECONDS)
        try:
            if self.security == "starttls":
                server.starttls(context=self.context())  # raises where the server offers none
            if self.user:
                server.login(self.user, self.password)
        except BaseException:
            server.close()
            raise
        return server

    def _log(self, mail: Mail, said: str) -> None:
        logger.warning("%s:%d did not take a mail to a user at %s: %s", self.host, self.port, host_of(mail.to), said)


def message_of(mail: Mail, sender: str, clock: Clock) -> EmailMessage:
    """Return *mail* as RFC 5322 has it. Control characters of its subject become blanks.

    The beginnings of encoded words (RFC 2047) get a blank, so that `email` decodes no text from outside.
    """
    name, address = parseaddr(sender)
    local, _, host = address.rpartition("@")
    message = EmailMessage()
    message["From"] = Address(name, local, host)
    message["To"] = mail.to
    message["Subject"] = "".join(c if c.isprintable() else " " for c in mail.subject).replace("=?", "= ?")
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = make_msgid(domain=host)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no robot answers
    message.set_content(mail.text)
    return message


def _told(failed: Exception) -> str:
    import smtplib  # noqa: PLC0415 few requests send mail

    if isinstance(failed, smtplib.SMTPResponseException):
        return f"{failed.smtp_code} {_text(failed.smtp_error)}"
    return f"{type(failed).__name__}: {failed}"


def _text(said: object) -> str:
    return said.decode("ascii", "replace")[:200] if isinstance(said, bytes) else str(said)[:200]

"""Mailers: they send the hub's mails."""

from typing import Protocol

from hubless.domain.mails import Mail


class Mailer(Protocol):
    """Hands mails over to a mail server."""

    def send(self, mail: Mail) -> None:
        """Hand *mail* over. Once this returns, a server has taken it; whether it arrives nobody can say.

        It may send a mail twice: a server that has taken it may fail before it says so.

        Raises:
            MailFailedError: saying what a person can do. The log has what the server said.
        """
        ...

"""The mailer of a hub whose settings name no mail server."""

from hubless.domain.errors import MailFailedError
from hubless.domain.mails import Mail


class NoMailer:
    """Sends nothing."""

    def send(self, mail: Mail) -> None:  # noqa: ARG002 none is sent
        raise MailFailedError("This hub sends no mail: its settings have no [mail]", retry=False)

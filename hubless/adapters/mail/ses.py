"""Mails by Amazon SES."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hubless.domain.errors import MailFailedError
from hubless.domain.mails import Mail, host_of
from hubless.domain.values import value

if TYPE_CHECKING:
    from hubless.adapters.aws import Clients

logger = logging.getLogger(__name__)
NOT_SENT = "The hub could not send the mail. Try again in a few minutes, or ask the hub's admin."
_REMEDIES: Mapping[str, str] = {
    "MessageRejected": "Verify the sender, and in SES's sandbox the recipient too.",
    "MailFromDomainNotVerifiedException": "Verify the sender's domain in SES.",
    "AccessDeniedException": "Grant the function's role ses:SendEmail of the sender's identity.",
    "NotFoundException": "Make the sender's identity in SES in this region.",
    "SendingPausedException": "SES has paused this account: see its console.",
    "AccountSuspendedException": "SES has suspended this account: see its console.",
    "TooManyRequestsException": "SES throttles requests.",
    "LimitExceededException": "The account's sending quota is used up.",
}


@value
class SesMailer:
    """Sends mails with the API of SES (version 2), by the right `ses:SendEmail` of the sender's identity."""

    sender: str  # "Name <address>", or an address
    clients: "Clients"

    def send(self, mail: Mail) -> None:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 few requests send mail

        try:
            self.clients.sesv2.send_email(
                FromEmailAddress=self.sender, Destination={"ToAddresses": [mail.to]}, Content=_content(mail)
            )
        except ClientError as refused:
            code = str(refused.response.get("Error", {}).get("Code", ""))
            said = str(refused.response.get("Error", {}).get("Message", ""))[:200]
            self._log(mail, f"{code}: {said} {_REMEDIES.get(code, '')}".rstrip())
            raise MailFailedError(NOT_SENT) from refused
        except BotoCoreError as failed:
            self._log(mail, type(failed).__name__)
            raise MailFailedError(NOT_SENT) from failed

    def _log(self, mail: Mail, said: str) -> None:
        logger.warning("SES did not take a mail to a user at %s: %s", host_of(mail.to), said)


def _content(mail: Mail) -> dict[str, Any]:
    subject = "".join(c if c.isprintable() else " " for c in mail.subject)
    return {
        "Simple": {
            "Subject": {"Data": subject, "Charset": "UTF-8"},
            "Body": {"Text": {"Data": mail.text, "Charset": "UTF-8"}},
            "Headers": [{"Name": "Auto-Submitted", "Value": "auto-generated"}],  # RFC 3834: no robot answers
        }
    }

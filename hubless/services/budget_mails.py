"""Mails that tell of a budget which is nearly used up, or used up: the worker sends what a sweep asks for."""

import logging
from collections.abc import Callable
from datetime import timedelta

from hubless.domain import budgets
from hubless.domain.budgets import AlertRequest
from hubless.domain.errors import MailFailedError, RetryLaterError
from hubless.domain.mails import Mail
from hubless.domain.values import value
from hubless.ports.email_addresses import EmailAddressStore
from hubless.ports.mailer import Mailer
from hubless.ports.users import UserStore
from hubless.services import mail_texts
from hubless.services.budgets import Budgets

logger = logging.getLogger(__name__)
RETRY = timedelta(minutes=1)


@value
class BudgetMails:
    """Sends mails about a user's budget to the user's verified address, and others to addresses of the settings."""

    budgets: Budgets
    users: UserStore
    addresses: EmailAddressStore
    mailer: Callable[[], Mailer]
    hub_name: str
    url: str  # the hub's own address

    def send(self, text: str) -> None:
        """Send the mail that *text* asks for (`AlertRequest.text`), unless the budget has more left by now.

        Raises:
            RetryLaterError: when a mail server did not take the mail, and may later.
            ValueError: when the text asks for none.
        """
        asked = AlertRequest.of_text(text)
        found = self.budgets.standings_in(asked.ledger, asked.budget)
        if asked.alert not in budgets.alerts_of(found):
            logger.info("sent no mail: the budget %s has changed since", asked.budget)
            return
        mail = self._mail(asked, [one.sentence(self.budgets.currency) for one in found if one.is_nearly_used])
        if mail is None:
            return
        try:
            self.mailer().send(mail)
        except MailFailedError as failed:  # the log says why
            if failed.retry:
                raise RetryLaterError("a mail about a budget could not be sent", after=RETRY) from failed
            return
        logger.info("a mail said that the budget %s of %s is %s", asked.budget, asked.ledger, asked.alert)

    def _mail(self, asked: AlertRequest, used: list[str]) -> Mail | None:
        """Return the mail; None when its user has no verified address, or is gone."""
        _of, _hash, subject = asked.ledger.partition("#")
        if asked.to:
            of = f"the group {subject}" if subject else "the hub"
            return mail_texts.budget_of_many(self.hub_name, asked, used, of, self.url)
        user, known = self.users.get(subject), self.addresses.get(subject)
        if user is None or known is None or not known.address:
            return None
        return mail_texts.budget_of_user(self.hub_name, known.address, asked, used, user.name)

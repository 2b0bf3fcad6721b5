"""Resets of forgotten passwords by mail. What the asker sees is the same whether or not there is such an account.

The request only counts, and sends a message to the queue. The worker looks for the account and sends the mail: so the
time of the answer says nothing either, and a mail server that is away for a moment loses no mail.
"""

import logging
from collections.abc import Callable
from datetime import timedelta

from hubless.domain import names, tokens
from hubless.domain.bounds import MAX_TYPED_NAME
from hubless.domain.client_addresses import network_of
from hubless.domain.errors import InvalidRequestError, MailFailedError, RetryLaterError
from hubless.domain.lock_policy import LONGEST_COUNT
from hubless.domain.mails import check_address
from hubless.domain.messages import Message, MessageKind
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.email_addresses import EmailAddressStore
from hubless.ports.mailer import Mailer
from hubless.ports.passwords import AttemptStore, PasswordStore
from hubless.ports.queue import Queue
from hubless.services import mail_texts
from hubless.services.accounts import Accounts

logger = logging.getLogger(__name__)
LIFETIME = timedelta(hours=1)  # of a link
WINDOW = LONGEST_COUNT  # the sweep forgets what is older
PER_USER = 3  # mails in a window, those that failed included
PER_TEXT = 5  # requests in a window for one name or address
PER_NETWORK = 100  # requests in a window: a class behind one address
RETRY = timedelta(minutes=1)


@value
class PasswordResets:
    """Sends links to new passwords to the verified addresses of users who have a password."""

    accounts: Accounts
    passwords: PasswordStore
    addresses: EmailAddressStore
    attempts: AttemptStore
    queue: Queue
    mailer: Callable[[], Mailer]
    clock: Clock
    hub_name: str
    url: str  # the hub's own address, never that of a request

    def ask(self, typed: str, address: str) -> bool:
        """Have a mail sent to whom *typed* names, and say whether the client's *address* has not asked too often.

        A name or e-mail address that was asked for too often gets the same answer as any other, and no mail.
        """
        text = typed.strip()[:MAX_TYPED_NAME]
        if not self._count(f"reset:{network_of(address)}", PER_NETWORK):
            return False
        is_new = self._count(f"reset:{tokens.sha256(names.normalise_user_name(text))}", PER_TEXT)
        if is_new and text:
            self.queue.send(Message(MessageKind.RESET_PASSWORD, text=text))
        return True

    def send(self, typed: str) -> None:
        """Send the mails of a request; for the worker.

        Raises:
            RetryLaterError: when a mail server did not take a mail, and may later.
        """
        failed = [user for user in self._users_of(typed) if not self._send_to(user)]
        if failed:
            raise RetryLaterError("a mail with a link could not be sent", after=RETRY)

    def _users_of(self, typed: str) -> list[User]:
        """Return the users whose name or verified address was typed."""
        found: dict[str, User] = {}
        if names.is_possible_user_name(name := self.accounts.stored_name(typed)):
            user = self.accounts.users.find(name)
            found |= {user.id: user} if user else {}
        try:
            ids = self.addresses.users_of(check_address(typed))
        except InvalidRequestError:
            return list(found.values())
        return list((found | self.accounts.users.get_many(ids)).values())

    def _send_to(self, user: User) -> bool:
        """Send the user a link; return whether nothing more is to be done."""
        known = self.addresses.get(user.id)
        if known is None or not known.address or self.passwords.get(user.id) is None:
            return True
        if not self._count(f"reset-mail:{user.id}", PER_USER):
            logger.info("sent no link to user %s: it was asked for too often", user.name)
            return True
        link = self.url + self.accounts.password_link(user.name, lifetime=LIFETIME)
        try:
            self.mailer().send(mail_texts.password_reset(self.hub_name, known.address, user.name, link))
        except MailFailedError as failed:
            return not failed.retry
        logger.info("sent a link to a new password to user %s", user.name)
        return True

    def _count(self, key: str, limit: int) -> bool:
        now = self.clock.now()
        return self.attempts.try_add(key, now, since=now - WINDOW, until=now + WINDOW, limit=limit)

"""E-mail addresses of users: asked by a mail, confirmed by its link, or set by an admin or a provider."""

import hmac
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from urllib.parse import urlencode

from hubless.domain import tokens
from hubless.domain.bounds import MAX_SECRET_LENGTH
from hubless.domain.email_addresses import EmailAddress
from hubless.domain.errors import InvalidRequestError, MailFailedError, QuotaExceededError, StoreConflictError
from hubless.domain.lock_policy import LONGEST_COUNT
from hubless.domain.mails import Mail, check_address
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.email_addresses import EmailAddressStore
from hubless.ports.mailer import Mailer
from hubless.ports.passwords import AttemptStore
from hubless.ports.users import UserStore
from hubless.services import mail_texts
from hubless.services.identifiers import new_secret

logger = logging.getLogger(__name__)
LIFETIME = timedelta(days=3)  # of a link
WINDOW = LONGEST_COUNT  # the sweep forgets what is older
PER_USER = 5  # mails in a window, to any address
USED_LINK = _("This link was used, has expired, or was replaced. Ask for a new one at /hub/email.")


@value
class EmailAddresses:
    """Manages users' addresses. Only a verified one counts: where the hub sends links that log in."""

    store: EmailAddressStore
    users: UserStore
    attempts: AttemptStore
    mailer: Callable[[], Mailer]
    clock: Clock
    hub_name: str
    url: str  # the hub's own address, never that of a request

    def of(self, user: User) -> EmailAddress:
        """Return what is known of the user's address."""
        return self.store.get(user.id) or EmailAddress(user.id)

    def ask(self, user: User, typed: str) -> str:
        """Send a mail that asks for the confirmation of an address, and return the address.

        An earlier mail's link ends. The verified address stays until the new one is confirmed.

        Raises:
            InvalidRequestError: when it is no address.
            QuotaExceededError: when the user has asked too often.
            MailFailedError: when the mail could not be sent.
        """
        address, now = check_address(typed), self.clock.now()
        key = f"confirm-mail:{user.id}"
        if not self.attempts.try_add(key, now, since=now - WINDOW, until=now + WINDOW, limit=PER_USER):
            words = _(
                "You have asked for %(per_user)s mails within an hour. Wait an hour, then try again.", per_user=PER_USER
            )
            raise QuotaExceededError(words, limit=PER_USER, retry=True, after=WINDOW)
        secret = new_secret()
        before = self.store.get(user.id)
        asked = replace(
            before or EmailAddress(user.id),
            pending=address,
            pending_sha256=tokens.sha256(secret),
            pending_until=now + LIFETIME,
        )
        self.store.save(before, asked)
        link = f"{self.url}/hub/email/confirm?{urlencode({'user': user.id, 'key': secret})}"
        self.mailer().send(mail_texts.confirm_address(self.hub_name, address, user.name, link))
        return address

    def pending_of(self, user_id: str, secret: str) -> tuple[User, str] | None:
        """Return the user and the address that a link's secret confirms, or None; nothing changes."""
        known = self._confirmed(user_id, secret)
        user = self.users.get(user_id) if known is not None else None
        return None if known is None or user is None else (user, known.pending)

    def confirm(self, user_id: str, secret: str) -> str:
        """Make the pending address the verified one, and tell the address before it. Of two calls one succeeds.

        Raises:
            InvalidRequestError: when the link is not valid any more.
        """
        known = self._confirmed(user_id, secret)
        user = self.users.get(user_id) if known is not None else None
        if known is None or user is None:
            raise InvalidRequestError(USED_LINK)
        try:
            self._save(user, known, known.pending)
        except StoreConflictError:
            raise InvalidRequestError(USED_LINK) from None
        return known.pending

    def set(self, user: User, typed: str) -> str:
        """Set the address without asking, for an admin; "" removes it. It ends a link that waits.

        Raises:
            InvalidRequestError: when it is no address.
            StoreConflictError: when it was changed meanwhile.
        """
        address = check_address(typed) if typed else ""
        self._save(user, self.store.get(user.id), address)
        return address

    def note_verified(self, user: User, address: str) -> None:
        """Store an address that a provider has verified, unless the user has one already."""
        known = self.store.get(user.id)
        if known is not None and known.address:
            return
        with suppress(InvalidRequestError, StoreConflictError):  # a login goes on without an address
            self._save(user, known, check_address(address))

    def tell_of_password(self, user: User) -> None:
        """Tell the user by mail of a new password, if the user has an address. Nothing fails if the mail does."""
        self._tell(user, mail_texts.password_changed)

    def tell_of_reset(self, user: User, by: str) -> None:
        """Tell the user by mail that *by* has removed the second factors, as `tell_of_password` does."""
        self._tell(user, partial(mail_texts.second_factors_reset, by=by))

    def _tell(self, user: User, written: Callable[[str, str, str], Mail]) -> None:
        known = self.store.get(user.id)
        if known is not None and known.address:
            with suppress(MailFailedError):  # the log says why
                self.mailer().send(written(self.hub_name, known.address, user.name))

    def _confirmed(self, user_id: str, secret: str) -> EmailAddress | None:
        if not 0 < len(secret) <= MAX_SECRET_LENGTH or not 0 < len(user_id) <= MAX_SECRET_LENGTH:
            return None
        known, sha256 = self.store.get(user_id), tokens.sha256(secret)
        if known is None or not hmac.compare_digest(known.pending_sha256, sha256):
            return None
        return known if known.is_confirmed_by(sha256, self.clock.now()) else None

    def _save(self, user: User, before: EmailAddress | None, address: str) -> None:
        self.store.save(before, EmailAddress(user.id, address))
        if before is not None and before.address and before.address != address:
            with suppress(MailFailedError):  # the log says why
                self.mailer().send(mail_texts.address_changed(self.hub_name, before.address, user.name, address))

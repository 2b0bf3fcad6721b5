"""Sign-ups: an account at once, or after the confirmation of an e-mail address, an admin's approval, or both."""

import hmac
import logging
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from dataclasses import field, replace
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from hubless.domain import sign_ups, tokens
from hubless.domain.bounds import MAX_SECRET_LENGTH
from hubless.domain.errors import (
    HublessError,
    InvalidRequestError,
    MailFailedError,
    NameTakenError,
    NotFoundError,
    StoreConflictError,
)
from hubless.domain.mails import check_address, folded, host_of
from hubless.domain.sign_ups import JoinCode, SignUp
from hubless.domain.translatable import gettext as _
from hubless.domain.users import Group, User
from hubless.domain.values import value
from hubless.ports.passwords import PasswordHasher, PasswordStore
from hubless.ports.sign_ups import JoinCodeStore, SignUpStore
from hubless.ports.users import GroupStore
from hubless.services import mail_texts
from hubless.services.accounts import Accounts
from hubless.services.email_addresses import WINDOW, EmailAddresses
from hubless.services.identifiers import new_id, new_secret
from hubless.services.identity import Actor
from hubless.services.join_links import JoinLinks
from hubless.services.login_throttling import LockedOut, LoginThrottle

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)
PER_ADDRESS = 5  # mails in a window
WRONG_CODE = _("This join code is wrong, has expired, or was used too often. Ask who gave it to you.")
USED_LINK = _("This link was used or has expired. Sign up again, or log in if you have confirmed it already.")
FULL = _("Too many people wait for an account at present. Try again tomorrow, or ask the hub's admin.")


@value
class SignUpRules:
    """What a sign-up needs."""

    approval: bool = False  # of sign-ups without a join code
    confirm_email: bool = False
    email_domains: tuple[str, ...] = ()
    join_codes: Mapping[str, JoinCode] = field(default_factory=dict, hash=False)  # by hash
    keep_waiting: timedelta = timedelta(days=14)
    max_waiting: int = 500
    is_open: bool = True  # whether settings let people sign up; otherwise only join links do

    @property
    def needs_code(self) -> bool:
        """Say whether nobody signs up without a join code."""
        return not self.is_open or (bool(self.join_codes) and not self.approval)


@value
class SignUps:
    """Takes sign-ups, and makes the accounts of those that are complete."""

    accounts: Accounts
    passwords: PasswordStore
    groups: GroupStore
    store: SignUpStore
    join_codes: JoinCodeStore
    emails: EmailAddresses
    hasher: PasswordHasher
    throttle: LoginThrottle
    rules: SignUpRules
    join_links: JoinLinks

    def sign_up(
        self, name: str, password: str, *, client_address: str, email: str = "", code: str = ""
    ) -> User | SignUp | LockedOut:
        """Make an account, or store a sign-up that waits and send the mail that asks its user.

        Args:
            name: as it was typed.
            password: of the user's choice.
            client_address: the client's; it can send only a limited number of sign-ups.
            email: as it was typed.
            code: a join code, as it was typed.

        Raises:
            InvalidRequestError: when something is missing or not allowed, or too many sign-ups wait.
            NameTakenError: when somebody has the name, or waits for it, or settings reserve it.
            MailFailedError: when the mail could not be sent; nothing is stored then.
        """
        if locked_out := self.throttle.admit_sign_up(client_address):
            return locked_out
        address = self._address(email) if self.rules.confirm_email else ""
        name = self.accounts.check_sign_up(name, password, known=[address])
        join_code = self._join_code(code.strip())
        if address:
            self._count_mail(address)
        secret, now = new_secret(), self.accounts.clock.now()
        asked = SignUp(
            name=name,
            user_id=new_id("u", now),
            password_hash=self.hasher.hash(password),
            created_at=now,
            expires_at=now + self.rules.keep_waiting,
            address=address,
            confirm_sha256=tokens.sha256(secret) if address else "",
            needs_approval=self.rules.approval if join_code is None else join_code.needs_approval,
            group=join_code.group if join_code else "",
        )
        with self._counted(join_code):
            if asked.is_complete:
                return self._make(asked)
            with self.join_links.references.of_sign_up(asked.group):
                if not self.store.add(asked, now, most=self.rules.max_waiting):
                    raise InvalidRequestError(FULL)
            if address:
                self._send_question(asked, secret)
        return asked

    def waiting(self) -> list[SignUp]:
        """Return the sign-ups that wait, the oldest first."""
        return self.store.all(self.accounts.clock.now())

    def of_link(self, name: str, secret: str) -> SignUp | None:
        """Return the sign-up that a link's secret confirms, or None; nothing changes."""
        if not 0 < len(secret) <= MAX_SECRET_LENGTH:
            return None
        found = self.store.find(name, self.accounts.clock.now())
        if found is None or not hmac.compare_digest(found.confirm_sha256, tokens.sha256(secret)):
            return None
        return found

    def confirm(self, name: str, secret: str) -> User | SignUp:
        """Confirm the address of a sign-up, and make the account if nothing else is missing.

        Raises:
            InvalidRequestError: when the link is not valid any more.
            NameTakenError: when an admin has given the name to somebody else meanwhile.
        """
        found = self.of_link(name, secret)
        if found is None:
            raise InvalidRequestError(USED_LINK)
        if not found.is_confirmed:
            later = self.accounts.clock.now() + self.rules.keep_waiting
            found = self._change(found, replace(found, is_confirmed=True, expires_at=later))
        return self._complete(found) if found.is_complete else found

    def approve(self, name: str, actor: Actor) -> User | SignUp:
        """Approve a sign-up, and make the account if nothing else is missing; tell its user by mail if there is one.

        Raises:
            NotFoundError: when no sign-up of this name waits.
            NotPermittedError: when its group gives more rights than *actor* has.
            StoreConflictError: when somebody else changed or refused it meanwhile.
            NameTakenError: when somebody else has the name meanwhile.
        """
        found = self._find(name)
        if found.waits_for_admin:
            self.join_links.privileges.require_may_add(actor, filter(None, [found.group]), [found.name])
            found = self._change(found, replace(found, approved_by=actor.name))
        if not found.is_complete:
            return found
        user = self._complete(found)
        if found.address:
            with suppress(MailFailedError):  # the log says why; the user can log in all the same
                self.emails.mailer().send(
                    mail_texts.account_is_ready(self.emails.hub_name, found.address, user.name, self.emails.url)
                )
        return user

    def refuse(self, name: str) -> None:
        """Remove a sign-up; its user is not told.

        Raises:
            NotFoundError: when no sign-up of this name waits.
            StoreConflictError: when somebody else changed it meanwhile.
        """
        found = self._find(name)
        if not self.store.remove(found):
            raise StoreConflictError(_("The sign-up of %(name)s was changed or removed meanwhile", name=name))

    def _find(self, name: str) -> SignUp:
        found = self.store.find(name, self.accounts.clock.now())
        if found is None:
            raise NotFoundError("Sign-up", name)
        return found

    def _change(self, before: SignUp, after: SignUp) -> SignUp:
        after = replace(after, revision=before.revision + 1)
        self.store.change(before, after)
        return after

    def _complete(self, sign_up: SignUp) -> User:
        """Make the account and end the sign-up. After a crash in between, the next call goes on."""
        user = self._make(sign_up)
        self.store.remove(sign_up)
        return user

    def _make(self, sign_up: SignUp) -> User:
        """Make the account, or what is missing of it; the user's id tells it from another of the name."""
        user = self.accounts.users.find(sign_up.name)
        if user is None:
            if self.accounts.is_reserved_name(sign_up.name):  # since the sign-up: settings may make it an admin's
                raise NameTakenError("User", sign_up.name)
            made = replace(self.accounts.new_user(sign_up.name), id=sign_up.user_id)
            added = self.accounts.users.create([made])
            user = added[0] if added else self.accounts.users.find(sign_up.name)
        if user is None or user.id != sign_up.user_id:
            raise NameTakenError("User", sign_up.name)
        self.passwords.change(user.id, None, sign_up.password_hash)  # unless it has one already
        if sign_up.is_confirmed:
            self.emails.note_verified(user, sign_up.address)
        if sign_up.group:
            self._join(user, sign_up.group)
        logger.info("user %s has signed up", user.name)
        return user

    def _join(self, user: User, name: str) -> None:
        group = self.groups.find(name)
        if group is None:
            with suppress(NameTakenError):  # somebody else made it at the same time
                self.groups.create(Group(new_id("g", self.accounts.clock.now()), name))
            group = self.groups.find(name)
        if group is not None:
            self.groups.add_users(group.id, [user.name])

    def _address(self, email: str) -> str:
        address = check_address(email)
        if self.rules.email_domains and host_of(address) not in self.rules.email_domains:
            allowed = ", ".join(self.rules.email_domains)
            raise InvalidRequestError(_("Use an e-mail address of %(allowed)s", allowed=allowed))
        return address

    def _count_mail(self, address: str) -> None:
        """Count a mail to *address*, so that nobody has the hub flood a stranger.

        Raises:
            InvalidRequestError: when too many were sent there.
        """
        key, now = f"sign-up-mail:{tokens.sha256(folded(address))}", self.accounts.clock.now()
        if not self.emails.attempts.try_add(key, now, since=now - WINDOW, until=now + WINDOW, limit=PER_ADDRESS):
            raise InvalidRequestError("Too many mails were sent to this address. Wait an hour, then try again")

    def _join_code(self, code: str) -> JoinCode | None:
        if not code:
            if self.rules.needs_code:
                raise InvalidRequestError("Type the join code that you were given")
            return None
        now = self.accounts.clock.now()
        found = (
            None if len(code) > MAX_SECRET_LENGTH else sign_ups.code_of(self.rules.join_codes, tokens.sha256(code), now)
        )
        found = found or self._of_link(code)
        if found is None:
            raise InvalidRequestError(WRONG_CODE)
        return found

    def _of_link(self, code: str) -> JoinCode | None:
        link = self.join_links.of_code(code)
        if link is None:
            return None
        return JoinCode(
            link.id, link.sha256, link.group, link.expires_at, link.places, link.needs_approval, is_link=True
        )

    @contextmanager
    def _counted(self, code: JoinCode | None) -> "Iterator[None]":
        """Count a use of the code before the account is made, so that it is never used too often."""
        if code is None:
            yield
            return
        links, now = self.join_links.store, self.accounts.clock.now()
        is_used = links.use(code.sha256, now) if code.is_link else self.join_codes.use(code.sha256, code.uses)
        if not is_used:
            raise InvalidRequestError(WRONG_CODE)
        try:
            yield
        except HublessError:
            (links if code.is_link else self.join_codes).give_back(code.sha256)
            raise

    def _send_question(self, asked: SignUp, secret: str) -> None:
        link = f"{self.emails.url}/hub/sign-up/confirm?{urlencode({'name': asked.name, 'key': secret})}"
        try:
            self.emails.mailer().send(mail_texts.confirm_sign_up(self.emails.hub_name, asked.address, asked.name, link))
        except MailFailedError:
            self.store.remove(asked)
            raise

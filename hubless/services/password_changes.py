"""Changes of passwords by their users: with the present password, or soon after a login."""

from datetime import timedelta

from hubless.domain import device_cookies
from hubless.domain.bounds import MAX_PASSWORD
from hubless.domain.tokens import Session
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.authenticator import Refused
from hubless.ports.passwords import PasswordHasher, PasswordStore
from hubless.services.accounts import Accounts
from hubless.services.login_throttling import LockedOut
from hubless.services.password_login import PasswordLogin

RECENT = timedelta(minutes=10)
WRONG = _("The present password is wrong")
LOG_IN_AGAIN = _("You have logged in too long ago for this. Log out, log in again, and choose a password then.")
CHANGED = _("Your password was changed by another request at the same time. Log in again.")


@value
class PasswordChanges:
    """Changes the password of the user of a session. Guesses at the present password count like logins."""

    accounts: Accounts
    passwords: PasswordStore
    hasher: PasswordHasher
    login: PasswordLogin

    def is_recent(self, session: Session) -> bool:
        """Say whether the session began so lately that it proves who is there."""
        return timedelta() <= self.login.throttle.clock.now() - session.created_at <= RECENT

    def asks_for_password(self, user: User, session: Session) -> bool:
        """Say whether a change needs the present password: unless the login is recent, or there is none."""
        return not self.is_recent(session) and self.passwords.get(user.id) is not None

    def change(
        self,
        user: User,
        session: Session,
        old: str,
        new: str,
        *,
        address: str,
        device_cookie: str = "",
        keep_sessions: bool = False,
        revoke_tokens: bool = False,
    ) -> Refused | LockedOut | None:
        """Set the new password, and end the user's link and, unless told otherwise, all browser sessions.

        Args:
            user: whose password it is.
            session: the one that asks.
            old: the present password; anything if the login is recent.
            new: the new password.
            address: the client's, by which wrong guesses are counted.
            device_cookie: what the browser sent.
            keep_sessions: whether browsers that are logged in stay so.
            revoke_tokens: whether the user's API tokens end.

        Returns:
            Why the change was refused, or None.

        Raises:
            InvalidRequestError: when the new password is not allowed.
        """
        stored = self.passwords.get(user.id)
        if refused := self._refusal(user, session, stored, old, address=address, device_cookie=device_cookie):
            return refused
        self.accounts.check_password(user, new)
        if not self.passwords.change(user.id, stored, self.hasher.hash(new)):
            return Refused(CHANGED)
        self.accounts.complete_change(user, keep_sessions=keep_sessions, revoke_tokens=revoke_tokens)
        return None

    def refusal_of(
        self, user: User, session: Session, old: str, *, address: str, device_cookie: str = ""
    ) -> Refused | LockedOut | None:
        """Return why it is not sure that the user is there: a wrong present password, or too old a login."""
        stored = self.passwords.get(user.id)
        return self._refusal(user, session, stored, old, address=address, device_cookie=device_cookie)

    def _refusal(
        self, user: User, session: Session, stored: str | None, old: str, *, address: str, device_cookie: str
    ) -> Refused | LockedOut | None:
        if self.is_recent(session):
            return None
        if stored is None:
            return Refused(LOG_IN_AGAIN)
        return self._refusal_of(user, stored, old, address, device_cookie)

    def _refusal_of(
        self, user: User, stored: str, old: str, address: str, device_cookie: str
    ) -> Refused | LockedOut | None:
        throttle, key = self.login.throttle, self.login.key()
        device = device_cookies.device_of(key, user.name, device_cookie, throttle.clock.now())
        if locked_out := throttle.admit(user.name, address, device):
            return locked_out
        if not 0 < len(old) <= MAX_PASSWORD or not self.hasher.verify(stored, old):
            throttle.note_failure(user.name, address, device)
            return Refused(WRONG)
        throttle.note_success(user.name, address, device)
        return None

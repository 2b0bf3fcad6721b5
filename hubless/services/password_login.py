"""Login with a name and a password, throttled."""

from collections.abc import Callable
from datetime import datetime

from hubless.domain import device_cookies, names
from hubless.domain.bounds import MAX_PASSWORD
from hubless.domain.errors import InvalidRequestError, NameTakenError
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.authenticator import Authenticator, Refused
from hubless.services.accounts import Accounts
from hubless.services.identifiers import new_secret
from hubless.services.login_throttling import LockedOut, LoginThrottle
from hubless.services.logins import Logins


@value
class PasswordLogin:
    """Checks passwords. Another kind of login has its own adapter and page, and also ends in `Logins.log_in`."""

    authenticator: Authenticator
    throttle: LoginThrottle
    logins: Logins
    accounts: Accounts
    key: Callable[[], bytes]  # the hub's secret, which signs device cookies

    def check(self, user_name: str, password: str, address: str, device_cookie: str = "") -> User | Refused | LockedOut:
        """Return the user who logs in with this name and password from this address, or the reason for the refusal.

        While a lock lasts, the right password is refused too, unless *device_cookie* proves an earlier login.
        """
        name = self.accounts.stored_name(user_name)
        if not _is_plausible(name, password):
            return Refused()
        device = device_cookies.device_of(self.key(), name, device_cookie, self._now()) if device_cookie else None
        if locked_out := self.throttle.admit(name, address, device):
            return locked_out
        answer = self.authenticator.authenticate(name, password)
        if isinstance(answer, Refused):
            self.throttle.note_failure(name, address, device)
            return answer
        self.throttle.note_success(name, address, device)
        try:
            return self.logins.log_in(answer)
        except (NameTakenError, InvalidRequestError) as refused:  # of a first login, which adds the user
            return Refused(str(refused))

    def device_cookie(self, user: User, before: str) -> str:
        """Return the device cookie of a browser in which *user* has logged in; *before* is the one that it sent."""
        return device_cookies.with_device(self.key(), user.name, before, nonce=new_secret(), now=self._now())

    def _now(self) -> datetime:
        return self.throttle.clock.now()


def _is_plausible(name: str, password: str) -> bool:
    """Say whether a person could have typed this: anything else is refused before it is stored or hashed."""
    return names.is_possible_user_name(name) and 0 < len(password) <= MAX_PASSWORD and "\0" not in password

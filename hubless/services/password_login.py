"""Login with a name and a password, throttled."""

from collections.abc import Callable
from datetime import datetime

from hubless.domain import device_cookies, names
from hubless.domain.bounds import MAX_PASSWORD
from hubless.domain.errors import InvalidRequestError, NameTakenError
from hubless.domain.tokens import Session
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.authenticator import Authenticator, Candidate, Identity, Refused
from hubless.ports.password_logins import PasswordLoginStore
from hubless.services.identifiers import new_secret
from hubless.services.login_throttling import LockedOut, LoginThrottle
from hubless.services.logins import Logins


@value
class LoggedIn:
    """The password was right. *opened* is the stored session with its cookie's secret, if it could begin already."""

    user: User
    opened: tuple[Session, str] | None = None


@value
class PasswordLogin:
    """Checks passwords. Another kind of login has its own adapter and page, and also ends in `Logins.log_in`.

    A login takes three round trips to the store: names and counters of guesses, the user with the hash, and one write
    that counts the guess or opens the session. A login that writes more takes more: one that adds the user or changes
    its admin flag, one whose hash is outdated, and of sixteen one that counts the user's sessions (`Logins`).
    """

    authenticator: Authenticator
    throttle: LoginThrottle
    store: PasswordLoginStore
    logins: Logins
    key: Callable[[], bytes]  # the hub's secret, which signs device cookies

    def check(self, user_name: str, password: str, address: str, device_cookie: str = "") -> User | Refused | LockedOut:
        """Return the user who logs in with this name and password from this address, or the reason for the refusal.

        While a lock lasts, the right password is refused too, unless *device_cookie* proves an earlier login.

        Raises:
            NotAllowedError: when settings block the user.
            StoreUnavailableError: when too many guesses at one name come at once.
        """
        found = self._check(user_name, password, address, device_cookie, lambda _user: None)
        return found.user if isinstance(found, LoggedIn) else found

    def log_in(
        self,
        user_name: str,
        password: str,
        address: str,
        device_cookie: str,
        *,
        agent: str,
        waits: Callable[[User], bool],
    ) -> LoggedIn | Refused | LockedOut:
        """Check like `check`, and store a session in the same write where that is possible.

        Args:
            user_name: as it was typed.
            password: as it was typed.
            address: the client's.
            device_cookie: what the browser sent.
            agent: the browser's User-Agent.
            waits: whether the user must show something else first, so that no session begins.

        Raises:
            NotAllowedError: when settings block the user.
            NotFoundError: when the user was removed meanwhile.
            StoreUnavailableError: when too many guesses at one name come at once.
        """

        def opened(user: User) -> tuple[Session, str] | None:
            return None if waits(user) else self.logins.new_session(user, agent, address=address)

        found = self._check(user_name, password, address, device_cookie, opened)
        if isinstance(found, LoggedIn) and found.opened is not None:
            self.logins.end_oldest(found.opened[0])
        return found

    def _check(
        self,
        user_name: str,
        password: str,
        address: str,
        device_cookie: str,
        opened: Callable[[User], tuple[Session, str] | None],
    ) -> LoggedIn | Refused | LockedOut:
        typed = user_name.strip()  # phones add a blank after a word
        normal = names.normalise_user_name(typed)
        if not _is_plausible(normal, password):
            return Refused()
        device = device_cookies.device_of(self.key(), normal, device_cookie, self._now()) if device_cookie else None
        guess = self.throttle.guess(normal, address, device)
        facts = self.store.read(typed, guess)
        if facts.is_locked:
            return self.throttle.lock(device)
        name = normal if facts.user is None else facts.user.name
        answer = self.authenticator.authenticate(Candidate(name, facts.user, facts.password_hash), password)
        if isinstance(answer, Refused):
            return answer if self.store.count(facts, guess) else self.throttle.lock(device)
        user = self.logins.unchanged_by(answer, facts.user)
        session = None if user is None else opened(user)
        # Before anything else is done or said: beyond the limit a right guess is refused like a wrong one.
        if not self.store.accept(facts, guess, None if session is None else session[0]):
            return self.throttle.lock(device)
        return self._changed_by(answer) if user is None else LoggedIn(user, session)

    def _changed_by(self, identity: Identity) -> LoggedIn | Refused:
        """Complete a login that adds the user, or changes it."""
        try:
            return LoggedIn(self.logins.log_in(identity))
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

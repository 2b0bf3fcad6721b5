"""Logging in and out: guesses are counted, sessions are known to the hub and can be ended at once."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from hubless.domain import names, tokens
from hubless.domain.errors import InvalidRequestError, NotFoundError
from hubless.domain.tokens import Session
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.authenticator import Authenticator, Refused
from hubless.ports.clock import Clock
from hubless.ports.passwords import AttemptStore
from hubless.ports.tokens import SessionStore
from hubless.services.accounts import MAXIMUM_PASSWORD, Accounts
from hubless.services.identifiers import new_secret

MAX_AGENT = 200
NAME_FACTOR = 10  # from everywhere together: locking somebody out takes more than one address
ADDRESS_FACTOR = 20  # a classroom behind one address may err this many times as often as one name


@value
class LockedOut:
    """Too many wrong guesses; *minutes* says how long to wait at most."""

    minutes: int


@value
class Logins:
    """The hub's front door."""

    authenticator: Authenticator
    accounts: Accounts
    attempts: AttemptStore
    sessions: SessionStore
    clock: Clock
    max_failures: int
    lock_for: timedelta
    session_lifetime: timedelta

    def check(self, user_name: str, password: str, address: str) -> User | Refused | LockedOut:
        """Say who logs in with this name and password from this address.

        Guesses are counted before the password is looked at, so that many at once do not slip through; while locked, right
        passwords are refused too. What is locked is first the name at this address: so nobody locks out somebody elsewhere.
        """
        name = names.normalise_user_name(user_name)
        if not self._is_plausible(name, password):
            return Refused()
        now = self.clock.now()
        hashed, by_address = tokens.sha256(name), f"address:{address}"
        by_name, by_both = f"name:{hashed}", f"name:{hashed} {by_address}"
        if self._is_locked({by_both: 1, by_name: NAME_FACTOR, by_address: ADDRESS_FACTOR}, now):
            return self._locked_out()
        self.attempts.add(by_both, now)
        self.attempts.add(by_name, now)
        answer = self.authenticator.authenticate(name, password)
        if isinstance(answer, Refused):
            self.attempts.add(by_address, now)
            return answer
        self.attempts.clear(by_both)
        self.attempts.clear(by_name)
        return self.accounts.log_in(answer.name, admin=answer.admin)

    def sign_up(self, user_name: str, password: str, address: str) -> User | LockedOut:
        """Add a user with a password of its own choice; one address adds so many and no more.

        Raises:
            InvalidRequestError, NameTakenError: saying why not.
        """
        now, by_address = self.clock.now(), f"sign-up:{address}"
        if self._is_locked({by_address: ADDRESS_FACTOR}, now):
            return self._locked_out()
        self.attempts.add(by_address, now)
        return self.accounts.sign_up(user_name, password)

    def open_session(self, user: User, agent: str) -> tuple[Session, str]:
        """Begin a browser session and return it with the secret of its cookie."""
        secret, now = new_secret() + new_secret(), self.clock.now()
        session = Session(
            id=new_secret(),
            sha256=tokens.sha256(secret),
            user_id=user.id,
            created_at=now,
            expires_at=now + self.session_lifetime,
            agent=agent[:MAX_AGENT],
        )
        self.sessions.create(session)
        return session, secret

    def close_session(self, session: Session) -> None:
        """End the session with every token that was issued in it."""
        self.sessions.end(session.id)

    def sessions_of(self, user: User) -> list[Session]:
        """Return the user's sessions that count now, oldest first."""
        now = self.clock.now()
        return [session for session in self.sessions.of_user(user.id) if now < session.expires_at]

    def close(self, user: User, session_id: str) -> None:
        """End that session of the user's.

        Raises:
            NotFoundError: when the user has none such.
        """
        for session in self.sessions_of(user):
            if session.id == session_id:
                return self.close_session(session)
        raise NotFoundError("Session", session_id)

    def close_all(self, user: User) -> None:
        """Log the user out everywhere, with every token that was issued in a browser."""
        self.sessions.end_all(user.id)

    def _is_locked(self, factors: Mapping[str, int], now: datetime) -> bool:
        since = now - self.lock_for
        return any(self.attempts.failures(key, since) >= self.max_failures * factor for key, factor in factors.items())

    def _locked_out(self) -> LockedOut:
        return LockedOut(minutes=max(1, round(self.lock_for.total_seconds() / 60)))

    @staticmethod
    def _is_plausible(name: str, password: str) -> bool:
        """Refuse what nobody typed before anything is stored or hashed for it."""
        try:
            names.check_user_name(name)
        except InvalidRequestError:
            return False
        return 0 < len(password) <= MAXIMUM_PASSWORD and "\0" not in password

"""Logins: the user of an identity, and the browser sessions that the hub opens, lists and ends."""

from datetime import timedelta

from hubless.domain import tokens
from hubless.domain.bounds import MAX_AGENT
from hubless.domain.errors import NotFoundError
from hubless.domain.tokens import Session
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.authenticator import Identity
from hubless.ports.clock import Clock
from hubless.ports.tokens import SessionStore
from hubless.services.accounts import Accounts
from hubless.services.identifiers import new_secret


@value
class Logins:
    """Completes a login of any kind: first `log_in`, then `open_session` where a browser asked."""

    accounts: Accounts
    sessions: SessionStore
    clock: Clock
    session_lifetime: timedelta
    max_sessions: int = 0  # of a user; 0 for no limit

    def log_in(self, identity: Identity) -> User:
        """Return the user of *identity*; a first login creates the user."""
        return self.accounts.log_in(identity.name, admin=identity.admin)

    def open_session(
        self, user: User, agent: str, *, provider: str = "", provider_session: str = ""
    ) -> tuple[Session, str]:
        """Begin a browser session and return it with the secret of its cookie; end the oldest beyond the maximum.

        Args:
            user: who has logged in.
            agent: the browser's User-Agent, so that the user recognises the session in a list.
            provider: the name of the provider that vouched for the user; "" if none did.
            provider_session: the provider's own session, with which this one ends.

        Raises:
            NotFoundError: when the user was removed meanwhile.
        """
        secret, now = new_secret() + new_secret(), self.clock.now()
        session = Session(
            id=new_secret(),
            sha256=tokens.sha256(secret),
            user_id=user.id,
            created_at=now,
            expires_at=now + self.session_lifetime,
            agent=agent[:MAX_AGENT],
            provider=provider,
            provider_session=provider_session,
        )
        self.sessions.create(session)
        if self.max_sessions:
            self.sessions.keep_newest(user.id, self.max_sessions)
        return session, secret

    def close_session(self, session: Session) -> None:
        """End *session* with every token that was issued in it."""
        self.sessions.end(session.id)

    def sessions_of(self, user: User) -> list[Session]:
        """Return the user's sessions that have not expired, oldest first."""
        now = self.clock.now()
        return [session for session in self.sessions.of_user(user.id) if now < session.expires_at]

    def close(self, user: User, session_id: str) -> None:
        """End the user's session of that id.

        Raises:
            NotFoundError: when the user has no such session.
        """
        for session in self.sessions_of(user):
            if session.id == session_id:
                return self.close_session(session)
        raise NotFoundError("Session", session_id)

    def close_all(self, user: User) -> None:
        """Log the user out everywhere, with every token that was issued in a browser session."""
        self.sessions.end_all(user.id)

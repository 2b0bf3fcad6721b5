"""Logins: the user of an identity, and the browser sessions that the hub opens, lists and ends."""

from datetime import timedelta

from hubless.domain import tokens
from hubless.domain.bounds import MAX_AGENT
from hubless.domain.client_addresses import shown_address
from hubless.domain.errors import NotAllowedError, NotFoundError
from hubless.domain.tokens import Session
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.authenticator import Identity
from hubless.ports.clock import Clock
from hubless.ports.tokens import SessionStore
from hubless.services.accounts import Accounts
from hubless.services.auth_states import AuthStates
from hubless.services.external_logins import ExternalLogins
from hubless.services.group_following import GroupFollowing
from hubless.services.identifiers import new_secret

FEW_SESSIONS = 64  # with a lower maximum, every login counts the user's sessions


@value
class Logins:
    """Completes a login of any kind: first `log_in`, then `open_session` where a browser asked."""

    accounts: Accounts
    sessions: SessionStore
    clock: Clock
    session_lifetime: timedelta
    external: ExternalLogins
    auth_states: AuthStates
    group_following: GroupFollowing
    max_sessions: int = 0  # of a user; 0 for no limit

    def log_in(self, identity: Identity) -> User:
        """Return the user of *identity*; a first login adds the user.

        An identity of a provider counts, and its name only at the first login. Without one the authenticator has
        decided who this is and whether the person may log in, and the name says which user that is.

        Raises:
            NotAllowedError: when settings do not let the person in, or the name is not free for this person.
            InvalidRequestError: when the name is not allowed. For an identity of a provider: when nobody can have it.
            NameTakenError: when the name of a first login without such an identity looks like another.
            StoreConflictError: when another request changed the user's admin flag meanwhile.
        """
        if identity.external is None:
            self.require_not_blocked(identity.name)
            user = self.accounts.log_in(identity.name, admin=self._admin_of(identity.name, identity))
        else:
            found = self.external.user_of(identity, identity.external)
            user = self.accounts.with_admin(found, admin=self._admin_of(found.name, identity))
        if identity.auth_state is not None:
            self.auth_states.keep(user, identity.auth_state)
        if identity.groups is not None and self.group_following.follow(user, identity.groups):
            return self.accounts.find(user.name)
        return user

    def unchanged_by(self, identity: Identity, user: User | None) -> User | None:
        """Return *user* if `log_in` would do no more than return it; it has the name of *identity*.

        None where `log_in` refuses, or writes something.
        """
        if user is None or identity.external is not None or self.external.admission.is_blocked(user.name):
            return None
        wanted = self._admin_of(user.name, identity)
        is_kept = wanted in {None, user.admin} and identity.auth_state is None and identity.groups is None
        return user if is_kept and identity.name == user.name else None

    def require_not_blocked(self, user_name: str) -> None:
        """Refuse a user whom settings block.

        Raises:
            NotAllowedError: saying whom to ask.
        """
        admission = self.external.admission
        if admission.is_blocked(user_name):
            raise NotAllowedError(_("%(user)s is blocked on this hub.", user=user_name), contact=admission.contact)

    def _admin_of(self, user_name: str, identity: Identity) -> bool | None:
        """Return the admin flag that this login gives: settings, the provider or a group may each make an admin."""
        if identity.external is not None and user_name in self.accounts.admins:
            return True
        said = [identity.admin, self.external.admission.is_admin_by(identity.groups)]
        return None if said == [None, None] else any(said)

    def open_session(
        self, user: User, agent: str, *, provider: str = "", provider_session: str = "", address: str = ""
    ) -> tuple[Session, str]:
        """Begin a browser session and return it with the secret of its cookie; end the oldest beyond the maximum.

        Args:
            user: who has logged in.
            agent: the browser's User-Agent, so that the user recognises the session in a list.
            provider: the name of the provider that vouched for the user; "" if none did.
            provider_session: the provider's own session, with which this one ends.
            address: the client's, which the user reads beside the browser.

        Raises:
            NotFoundError: when the user was removed meanwhile.
        """
        session, secret = self.new_session(
            user, agent, provider=provider, provider_session=provider_session, address=address
        )
        self.sessions.create(session)
        self.end_oldest(session)
        return session, secret

    def new_session(
        self, user: User, agent: str, *, provider: str = "", provider_session: str = "", address: str = ""
    ) -> tuple[Session, str]:
        """Return a browser session that is not stored yet, with the secret of its cookie; see `open_session`."""
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
            address=shown_address(address),
        )
        return session, secret

    def end_oldest(self, session: Session) -> None:
        """End the oldest sessions of the user beyond the maximum, after *session* was stored."""
        if self._is_counted(session):
            self.sessions.keep_newest(session.user_id, self.max_sessions)

    def _is_counted(self, session: Session) -> bool:
        """Say whether to look for sessions beyond the maximum now.

        The look is a round trip. Where a user may have many sessions, one login of sixteen takes it, by chance: a few
        sessions more do no harm.
        """
        return 0 < self.max_sessions < FEW_SESSIONS or (self.max_sessions > 0 and session.sha256.startswith("0"))

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

    def close_others(self, user: User, kept: Session) -> int:
        """Log the user out in all browsers but that of *kept*, and return how many sessions ended.

        A login at the same moment may stay: it is no other's than of who has just proved who they are.
        """
        others = [session for session in self.sessions_of(user) if session.id != kept.id]
        for session in others:
            self.close_session(session)
        return len(others)

    def close_all(self, user: User) -> None:
        """Log the user out everywhere, with every token that was issued in a browser session."""
        self.sessions.end_all(user.id)

"""Logins at providers: begin one, take its answer, and end what a provider ends.

Each login has its own secrets in the store, so that ten tabs that a browser restores all come home. It is bound to the
browser in which it began: whoever leads another browser to an answer logs nobody in there.
"""

import hmac
import json
import logging
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from hubless.domain.errors import LoginRefusedError, NotFoundError, ProviderUnavailableError
from hubless.domain.external_identities import ExternalId
from hubless.domain.half_logins import HalfLogin
from hubless.domain.providers import callback_path
from hubless.domain.tokens import Session, sha256
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.authenticator import Identity
from hubless.ports.clock import Clock
from hubless.ports.login_providers import AuthorizationRequest, LoginProvider, VouchedPerson
from hubless.ports.passwords import AttemptStore
from hubless.ports.pending_logins import PendingLogin, PendingLoginStore
from hubless.ports.tokens import SessionStore
from hubless.services.external_logins import ExternalLogins
from hubless.services.identifiers import new_secret
from hubless.services.logins import Logins

logger = logging.getLogger(__name__)

PATIENCE: Final = timedelta(minutes=15)  # for a person who types a password, looks for a telephone, and so on
BEHIND: Final = timedelta(minutes=1)  # a provider's clock may be behind ours by this
REFRESHED_AT: Final = "refreshed_at"  # of auth_state: when the provider last said it
MAX_STATE: Final = 128  # characters
LOST = _("This login took too long, or was completed already. Log in again.")
ELSEWHERE = _("This login began in another browser, or your browser lost its cookie. Allow cookies, and log in again.")


@value
class BegunLogin:
    """A login that has begun: where the browser goes, and what it must bring back in its cookie."""

    url: str
    cookie_name: str  # the end of it
    cookie: str


@value
class CompletedLogin:
    """A login that a provider has confirmed. *linked* says that it added an identity to a user who was logged in."""

    user: User
    following: str
    linked: bool
    provider: str
    provider_session: str


@value
class ProviderLogins:
    """Logs people in whom a provider vouches for. Its calls wait for providers, so they belong in threads."""

    providers: Mapping[str, LoginProvider]  # by name, in the order of the login page
    pending: PendingLoginStore
    attempts: AttemptStore  # remembers logouts, for logins that wait for a second factor
    external: ExternalLogins
    sessions: SessionStore
    logins: Logins
    clock: Clock
    hub_url: str  # what browsers see, without a slash at its end

    def provider(self, name: str) -> LoginProvider:
        """Return the provider *name*; the first if *name* is empty.

        Raises:
            NotFoundError: when there is none.
        """
        found = self.providers.get(name) if name else next(iter(self.providers.values()), None)
        if found is None:
            raise NotFoundError("Provider", name[:64])
        return found

    def redirect_uri(self, name: str) -> str:
        """Return the address to which the provider *name* sends browsers back."""
        return self.hub_url + callback_path(tuple(self.providers), name)

    def begin(self, name: str, following: str, *, link_to_user_id: str | None = None) -> BegunLogin:
        """Begin a login at the provider *name*; afterwards the browser goes to the path *following*.

        Raises:
            NotFoundError: when there is no such provider.
            ProviderUnavailableError: when it does not answer.
        """
        provider = self.provider(name)
        state, cookie, now = new_secret() + new_secret(), new_secret(), self.clock.now()
        pending = PendingLogin(
            state_sha256=sha256(state),
            browser_sha256=sha256(cookie),
            provider=provider.provider.name,
            created_at=now,
            expires_at=now + PATIENCE,
            nonce=new_secret(),
            verifier=new_secret() + new_secret(),
            next=following,
            link_to_user_id=link_to_user_id,
        )
        url = provider.authorization_url(self._request(pending, state))
        self.pending.add(pending)
        return BegunLogin(url, cookie_name_of(state), cookie)

    def complete(
        self, name: str, answer: Mapping[str, str], cookies: Collection[str], *, user_id: str | None
    ) -> CompletedLogin:
        """Complete the login whose answer came to the address of the provider *name*.

        Args:
            name: the provider's; "" for the first.
            answer: the query with which the browser came back.
            cookies: what the browser sent under the login's cookie name.
            user_id: who is logged in with this browser, if somebody is.

        Raises:
            LoginRefusedError: when the answer is no login's, or the provider confirms nothing.
            ProviderUnavailableError: when the provider does not answer.
            NotAllowedError: when this hub does not let the person in.
        """
        provider = self.provider(name)
        state = answer.get("state", "")
        pending = self.pending.take(sha256(state), self.clock.now()) if 0 < len(state) <= MAX_STATE else None
        if pending is None or pending.provider != provider.provider.name:
            raise LoginRefusedError(LOST)
        if not any(hmac.compare_digest(sha256(cookie), pending.browser_sha256) for cookie in cookies):
            raise LoginRefusedError(ELSEWHERE)
        person = provider.complete(self._request(pending, state), answer)
        if pending.link_to_user_id is not None:
            user = self._link(provider, person, pending.link_to_user_id, user_id)
        else:
            user = self.logins.log_in(identity_of(provider, person, self.clock.now()))
        return CompletedLogin(
            user,
            pending.next,
            linked=pending.link_to_user_id is not None,
            provider=provider.provider.name,
            provider_session=person.session_id,
        )

    def logout_url(self, session: Session, user: User, return_to: str) -> str | None:
        """Return where the person of a session also logs out at the provider that began it; None if nowhere.

        A provider that does not answer keeps nobody from logging out here.
        """
        provider = self.providers.get(session.provider)
        if provider is None or not provider.provider.logout_at_provider:
            return None
        state = self.logins.auth_states.of(user) or {}
        try:
            known = state if state.get("provider") == session.provider else {}
            return provider.logout_url(known, self.hub_url + return_to)
        except ProviderUnavailableError as failed:
            logger.warning("user %s logs out here only: %s", user.name, failed)
            return None

    def end_by_notice(self, name: str, token: str) -> int:
        """End the sessions that a provider's logout token names, and return how many; waiting logins end too.

        What began after the notice goes on. So a token that comes again, also after a crash in between, does no harm.

        Raises:
            LoginRefusedError: when the token is no genuine notice, or names no person.
            ProviderUnavailableError: when the provider's keys are not there to be had.
        """
        provider = self.provider(name)
        notice = provider.logout_notice(token)
        if not notice.subject:
            raise LoginRefusedError("The notice names a session and no person (sub). Have the provider send both.")
        found = self.external.identities.find_with_user(ExternalId(notice.issuer, notice.subject))
        if found is None:
            return 0
        user, name, ended = found[1], provider.provider.name, 0
        self.attempts.add(_logout_key(user.id, name, notice.session_id), notice.issued_at)
        for session in self.sessions.of_user(user.id):
            is_meant = not notice.session_id or session.provider_session == notice.session_id
            if session.provider == name and is_meant and session.created_at <= notice.issued_at + BEHIND:
                self.sessions.end(session.id)
                ended += 1
        logger.info("provider %s ended %d sessions of its own accord", name, ended)
        return ended

    def has_ended(self, half: HalfLogin) -> bool:
        """Say whether the provider of a login that waits for a second factor has ended it meanwhile."""
        if not half.provider or half.began_at is None:
            return False
        keys = {_logout_key(half.user_id, half.provider, session) for session in ("", half.provider_session)}
        return any(self.attempts.failures(key, half.began_at - BEHIND) for key in sorted(keys))

    def _request(self, pending: PendingLogin, state: str) -> AuthorizationRequest:
        return AuthorizationRequest(self.redirect_uri(pending.provider), state, pending.nonce, pending.verifier)

    def _link(self, provider: LoginProvider, person: VouchedPerson, user_id: str, present: str | None) -> User:
        if user_id != present:
            raise LoginRefusedError("You logged out, or in as somebody else, before the link was complete. Try again.")
        user = self.logins.accounts.users.get(user_id)
        if user is None:
            raise NotFoundError("User", user_id)
        identity = self.external.linked_by(
            user,
            ExternalId(person.issuer, person.subject),
            provider=provider.provider.name,
            label=person.label,
            by_admin=False,
        )
        self.external.link(user, identity)
        logger.info("user %s linked an identity of provider %s", user.name, provider.provider.name)
        return user


def cookie_name_of(state: str) -> str:
    """Return the end of the name of the cookie that binds the login with this *state* to its browser."""
    return sha256(state)[:16]


def _logout_key(user_id: str, provider: str, session: str) -> str:
    return f"logout:{sha256(json.dumps([user_id, provider, session]))}"


def identity_of(provider: LoginProvider, person: VouchedPerson, now: datetime) -> Identity:
    """Return *person*, of whom the provider spoke at *now*, as logins of all kinds know people."""
    return Identity(
        name=person.name,
        admin=person.admin,
        external=ExternalId(person.issuer, person.subject),
        provider=provider.provider.name,
        label=person.label,
        groups=person.groups,
        auth_state={**person.auth_state, "subject": person.subject, REFRESHED_AT: now.isoformat()},
        match_existing=provider.provider.match_existing,
    )

"""Refreshing logins: a provider is asked again whether it still vouches for a person, and for which groups.

JupyterHub's words: `auth_refresh_age`, and a refresh before each start (`refresh_pre_spawn`). Nothing is refreshed
unless settings let the hub keep auth_state, which has the provider's tokens.
"""

import logging
from collections import OrderedDict
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Final

from hubless.domain.errors import LoginRefusedError, NotAllowedError, ProviderUnavailableError
from hubless.domain.external_identities import ExternalId
from hubless.domain.leases import NoLease
from hubless.domain.users import User
from hubless.ports.clock import Clock
from hubless.ports.leases import LeaseStore
from hubless.ports.login_providers import LoginProvider
from hubless.services.logins import Logins
from hubless.services.provider_logins import REFRESHED_AT, ProviderLogins, identity_of

logger = logging.getLogger(__name__)

JUST_NOW: Final = timedelta(minutes=1)  # a start so soon after a login or refresh asks nobody again
RETRY_AFTER: Final = timedelta(minutes=1)  # after an outage
_LONGEST: Final = timedelta(seconds=30)  # that one refresh takes; it holds the user's lease
_REMEMBERED: Final = 10_000  # users whose next refresh a process knows


class AuthRefreshing:
    """Refreshes logins. Its calls wait for providers, so they belong in threads."""

    def __init__(self, logins: Logins, providers: ProviderLogins, leases: LeaseStore, clock: Clock) -> None:
        self._logins, self._providers, self._leases, self._clock = logins, providers, leases, clock
        self._lock = Lock()
        self._not_before: OrderedDict[str, datetime] = OrderedDict()  # by user's id: nothing is due until then
        self._refused: OrderedDict[str, tuple[datetime, Any]] = OrderedDict()  # until when, and which state

    @property
    def is_on(self) -> bool:
        """Say whether settings let any login be refreshed."""
        return self._logins.auth_states.is_kept and bool(self._providers.providers)

    def is_due(self, user: User, *, before_start: bool = False) -> bool:
        """Say whether it may be time to ask the provider of *user*; no call to a store or a provider."""
        if not self.is_on:
            return False
        with self._lock:
            known = self._not_before.get(user.id)
        return known is None or before_start or self._clock.now() >= known

    def refresh(self, user: User, *, before_start: bool = False) -> str | None:
        """Ask the provider of the user's login again, if it is time; what it says counts at once.

        Return the name of the provider if it no longer vouches for the person, or settings no longer let the person in.
        None means that the login counts: it is young, was refreshed, or cannot be refreshed now.

        Only one refresh of a user goes on at a time: providers that rotate refresh tokens end all of them when an old
        one comes again. Whoever comes meanwhile finds the login valid.

        Args:
            user: whose login it is, whoever asks.
            before_start: whether the user's server is about to start: then only a login of the last minute is young.
        """
        if not self.is_due(user, before_start=before_start) or self._due_provider(user, before_start) is None:
            return None
        now = self._clock.now()
        lease = self._leases.claim(f"auth refresh#{user.id}", limit=1, now=now, until=now + _LONGEST)
        if isinstance(lease, NoLease):
            return None
        try:
            # Another process may have refreshed since: the state is read again under the lease.
            if (due := self._due_provider(user, before_start)) is None:
                return None
            return self._asked(user, *due)
        finally:
            self._leases.release(lease)

    def _due_provider(self, user: User, before_start: bool) -> tuple[LoginProvider, dict[str, Any]] | None:  # noqa: FBT001 private
        """Return the provider to ask and the auth_state to ask with; None if nothing is due."""
        state = self._logins.auth_states.of(user)
        provider = self._providers.providers.get(str(state.get("provider"))) if state else None
        age = provider.provider.auth_refresh_age if provider is not None else None
        now = self._clock.now()
        if state is None or provider is None or age is None:
            self._remember(user, now + RETRY_AFTER)
            return None
        due_at = _instant(state.get(REFRESHED_AT), now) + (min(age, JUST_NOW) if before_start else age)
        if now < due_at:
            self._remember(user, due_at)
            return None
        return provider, state

    def _asked(self, user: User, provider: LoginProvider, state: dict[str, Any]) -> str | None:
        """Ask, unless the provider refused this very state a moment ago: sessions of other logins go on meanwhile."""
        now, mark = self._clock.now(), state.get(REFRESHED_AT)
        with self._lock:
            until, refused = self._refused.get(user.id, (now, None))
        if now < until and refused == mark:
            return provider.provider.name
        said = self._ask(user, provider, state)
        if said is not None:
            with self._lock:
                self._refused[user.id] = now + RETRY_AFTER, mark
                if len(self._refused) > _REMEMBERED:
                    self._refused.popitem(last=False)
        return said

    def _ask(self, user: User, provider: LoginProvider, state: dict[str, Any]) -> str | None:
        now, subject = self._clock.now(), str(state.get("subject", ""))
        if not self._is_linked(user, ExternalId(provider.provider.issuer, subject)):
            # The state of an identity that somebody unlinked says nothing of this user: it would end each session.
            self._logins.auth_states.forget(user)
            logger.info("user %s must log in again: the identity of the last login was unlinked", user.name)
            return provider.provider.name
        try:
            person = provider.refresh(subject, state)
            if person is None:
                self._remember(user, now + RETRY_AFTER)
                return None
            found = self._logins.log_in(identity_of(provider, person, now))
        except ProviderUnavailableError as failed:
            logger.warning("the login of user %s was not refreshed: %s", user.name, failed)
            self._remember(user, now + RETRY_AFTER)
            return None
        except (LoginRefusedError, NotAllowedError) as refused:
            logger.info("user %s must log in again: %s", user.name, refused)
            return provider.provider.name
        if found.id != user.id:
            logger.warning("user %s must log in again: the identity belongs to user %s now", user.name, found.name)
            return provider.provider.name
        self._remember(user, now + (provider.provider.auth_refresh_age or RETRY_AFTER))
        return None

    def _is_linked(self, user: User, identity: ExternalId) -> bool:
        found = self._providers.external.identities.find_with_user(identity)
        return found is not None and found[1].id == user.id

    def _remember(self, user: User, until: datetime) -> None:
        with self._lock:
            self._not_before[user.id] = until
            self._not_before.move_to_end(user.id)
            while len(self._not_before) > _REMEMBERED:
                self._not_before.popitem(last=False)


def _instant(text: Any, now: datetime) -> datetime:
    """Return when the provider last spoke; long ago if nothing says so, or if a clock was wrong."""
    try:
        at = datetime.fromisoformat(text)
        return at if at <= now else datetime.min.replace(tzinfo=now.tzinfo)
    except (TypeError, ValueError):
        return datetime.min.replace(tzinfo=now.tzinfo)

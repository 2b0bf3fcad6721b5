"""Providers of logins: they say who a person is, who proves it to them in the browser."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, Protocol

from hubless.domain.providers import Provider
from hubless.domain.values import value


@value
class VouchedPerson:
    """What a provider vouches for. *issuer* and *subject* stand for one person for ever; the rest may change."""

    issuer: str
    subject: str
    name: str  # the wish for the user's name here, as the provider writes it
    label: str  # what the person recognises the identity by, such as an address
    admin: bool | None = None  # None: leave the flag alone
    groups: tuple[str, ...] | None = None  # None: leave memberships alone
    auth_state: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)
    session_id: str = ""  # the provider's own session, if it names one


@value
class LogoutNotice:
    """A provider's word that a person has logged out there (OpenID Connect Back-Channel Logout 1.0)."""

    issuer: str
    subject: str  # "" if the notice is about one session only
    session_id: str  # "" if it is about all sessions of the person
    issued_at: datetime  # by the provider's clock: it is about what began before


@value
class AuthorizationRequest:
    """One login at a provider. The person's browser carries *state*; nobody else knows *nonce* and *verifier*."""

    redirect_uri: str
    state: str
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)  # of PKCE (RFC 7636): 43 to 128 characters


@value
class ProviderCheck:
    """What `hubless check` finds out about a provider: faults, each a sentence, and how far its clock is off."""

    faults: tuple[str, ...] = ()
    clock_skew: timedelta | None = None  # positive if the provider's clock is ahead


class LoginProvider(Protocol):
    """One provider. Calls wait for it, so they belong in threads.

    Each call may raise `ProviderUnavailableError` when the provider is not reached or answers nonsense, and
    `LoginRefusedError` when it answers well, but refuses or proves nothing.
    """

    @property
    def provider(self) -> Provider:
        """Return the provider as settings describe it."""
        ...

    def authorization_url(self, request: AuthorizationRequest) -> str:
        """Return the address at the provider to which the browser goes."""
        ...

    def complete(self, request: AuthorizationRequest, answer: Mapping[str, str]) -> VouchedPerson:
        """Return who logged in; *answer* is the query with which the browser came back."""
        ...

    def refresh(self, subject: str, auth_state: Mapping[str, Any]) -> VouchedPerson | None:
        """Return what the provider says now about the person of an earlier login; None if it cannot be asked again.

        Raises:
            LoginRefusedError: when the provider no longer vouches for the person, who must log in again.
        """
        ...

    def logout_url(self, auth_state: Mapping[str, Any], return_to: str) -> str | None:
        """Return the address at which the person also logs out at the provider; None if there is none."""
        ...

    def logout_notice(self, token: str) -> LogoutNotice:
        """Return what a logout token says, if it is genuine."""
        ...

    def check(self) -> ProviderCheck:
        """Ask the provider what a login will need, and say what is wrong. Raise nothing."""
        ...

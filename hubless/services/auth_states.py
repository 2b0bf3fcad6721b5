"""auth_state: what a provider said of a user at the last login, kept sealed (JupyterHub's `enable_auth_state`)."""

import json
import logging
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from hubless.domain.bounds import MAX_AUTH_STATE
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.auth_state import AuthStateStore
from hubless.ports.second_factors import SecretSealer

logger = logging.getLogger(__name__)


@value
class AuthStates:
    """Seals, stores and opens auth_state, if settings want it to be kept."""

    store: AuthStateStore
    sealer: SecretSealer
    is_kept: bool = False
    to_servers: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Variables of a user's servers, each with the key of auth_state that it gets."""

    def keep(self, user: User, state: Mapping[str, Any]) -> None:
        """Store *state* in place of what an earlier login brought; what is too large is not kept.

        Raises:
            NotFoundError: when the user was removed meanwhile.
        """
        if not self.is_kept:
            return
        sealed = self.sealer.seal(json.dumps(dict(state)).encode()).decode()
        if len(sealed) > MAX_AUTH_STATE:
            logger.warning(
                "user %s: the login's auth_state has %d characters sealed, of at most %d; the hub keeps none",
                user.name,
                len(sealed),
                MAX_AUTH_STATE,
            )
            self.store.set(user.id, None)
            return
        self.store.set(user.id, sealed)

    def forget(self, user: User) -> None:
        """Remove the user's auth_state.

        Raises:
            NotFoundError: when the user was removed meanwhile.
        """
        self.store.set(user.id, None)

    def variables_of(self, user: User) -> dict[str, str]:
        """Return the variables that a user's server gets; a key that is missing, or holds nothing, gives none."""
        state = (self.of(user) if self.to_servers else None) or {}
        found = {variable: state.get(key) for variable, key in self.to_servers.items()}
        return {
            variable: fact if isinstance(fact, str) else json.dumps(fact)
            for variable, fact in found.items()
            if fact not in (None, "")
        }

    def of(self, user: User) -> dict[str, Any] | None:
        """Return the user's auth_state; None if there is none, or no present key opens it."""
        sealed = self.store.get(user.id) if self.is_kept else None
        if sealed is None:
            return None
        text = self.sealer.open(sealed.encode())
        if text is None:
            logger.warning("user %s: no key opens the auth_state; the next login stores it again", user.name)
            return None
        state: dict[str, Any] = json.loads(text)
        return state

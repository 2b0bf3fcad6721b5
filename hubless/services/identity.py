"""Identities: the user or service behind a token or a session, and the scopes that it has now."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from datetime import datetime, timedelta

from hubless.domain import imported_secrets, roles, scopes, tokens
from hubless.domain.admission import AdmissionPolicy
from hubless.domain.bounds import MAX_AGENT, MAX_SECRET_LENGTH
from hubless.domain.client_addresses import network_of, shown_address
from hubless.domain.errors import StoreBusyError
from hubless.domain.roles import Role
from hubless.domain.scopes import Bearer, Scopes
from hubless.domain.tokens import OwnerKind, Session, Token
from hubless.domain.users import Service, User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.tokens import SessionStore, TokenStore
from hubless.ports.users import UserStore
from hubless.services.imported_secret_checks import ImportedSecretChecks
from hubless.services.service_registry import ServiceRegistry

ACTIVITY_RESOLUTION = timedelta(seconds=30)  # JupyterHub's activity_resolution: saves writes


@value
class Actor:
    """An authenticated user or service, with the scopes that it has now."""

    name: str
    kind: OwnerKind
    scopes: Scopes
    owner_scopes: Scopes  # the most that a token of this actor may have
    user: User | None = None
    service: Service | None = None
    token: Token | None = None
    session: Session | None = None

    @property
    def is_admin(self) -> bool:
        """Say whether this is an admin, and not a token that may do less than its owner."""
        if self.user is not None:
            return self.user.admin and not self.is_narrowed
        return bool(self.service and self.service.admin and not self.is_narrowed)

    @property
    def is_narrowed(self) -> bool:
        """Say whether the actor's token has fewer scopes than its owner."""
        return self.token is not None and not all(
            self.scopes.covers(scope, lambda _user: ()) for scope in self.owner_scopes.all
        )

    @property
    def token_id(self) -> str | None:
        """Return the id of the token that authenticated this actor; a service has one token, named after it."""
        return self.token.id if self.token else (f"a-{self.service.name}" if self.service else None)

    @property
    def session_id(self) -> str | None:
        """Return the id of the browser session that the cookie or the token belongs to, or None."""
        return self.session.id if self.session else (self.token.session_id if self.token else None)


@value
class _Sender:
    """Who sends a token: from where, and the name by which the program calls itself."""

    address: str
    agent: str


@value
class Identities:
    """Authenticates tokens and sessions."""

    tokens: TokenStore
    sessions: SessionStore
    users: UserStore
    clock: Clock
    roles: Mapping[str, Role]
    services: ServiceRegistry
    admission: AdmissionPolicy = field(default_factory=AdmissionPolicy)
    imported_secret_checks: ImportedSecretChecks = field(default_factory=ImportedSecretChecks)

    def of_token(self, secret: str, address: str = "", agent: str = "") -> Actor | None:
        """Return the actor whose token is *secret*, or None if no valid token is.

        Args:
            secret: what was presented as a token.
            address: the client's, by which wrong tokens are counted that begin like one of another hub. A right token
                keeps it, so that its owner reads from where it was used last.
            agent: the client's User-Agent, likewise.

        Raises:
            QuotaExceededError: when too many such ones came from there. The token may be right: the client must wait.
        """
        if not secret or len(secret) > MAX_SECRET_LENGTH:
            return None
        digest = tokens.sha256(secret)
        if service := self.services.of_settings_token(digest):
            return self._of_service(service)
        found, candidates = self.tokens.look_up(digest, imported_secrets.prefix_of(secret))
        if found is None and (added := self.services.of_token(digest)):
            return self._of_service(added)
        if found is None:
            found = self._of_imported(secret, digest, candidates, address)
        if found is None:
            return None
        token, user = found
        if token.is_expired(self.clock.now()):
            return None
        by = _Sender(shown_address(address), agent[:MAX_AGENT])
        is_services = token.owner_kind is OwnerKind.SERVICE
        return self._of_service_token(token, by) if is_services else self._of_users(token, user, by)

    def of_session(self, secret: str) -> Actor | None:
        """Return the user of the valid browser session whose cookie has *secret*, or None."""
        is_possible = 0 < len(secret) <= MAX_SECRET_LENGTH
        found = self.sessions.find_with_user(tokens.sha256(secret)) if is_possible else None
        if found is None or self.clock.now() >= found[0].expires_at:
            return None
        session, user = found
        if self.admission.is_blocked(user.name):
            return None
        self._note_activity(user, None)
        held = self.of_user(user)
        return Actor(user.name, OwnerKind.USER, held, held, user=user, session=session)

    def of_user(self, user: User) -> Scopes:
        """Return the scopes that *user* has now."""
        return roles.scopes_of_user(user, self.roles)

    def effective(self, token: Token, owner: User) -> Scopes:
        """Return the scopes that *owner*'s *token* has now: its own, narrowed to those that the owner has."""
        held = self.of_user(owner)
        if "inherit" in token.scopes:
            return held
        asked = scopes.expand((*token.scopes, *scopes.IDENTIFY), Bearer(user=owner.name))
        return asked.intersection(held, self.groups_of(owner))

    def groups_of(self, *known: User) -> Callable[[str], Iterable[str]]:
        """Return a look-up of a user's groups by name; it reads the store once per user that is not *known*."""
        cache: dict[str, tuple[str, ...]] = {user.name: user.groups for user in known}

        def look_up(name: str) -> tuple[str, ...]:
            if name not in cache:
                user = self.users.find(name)
                cache[name] = user.groups if user else ()
            return cache[name]

        return look_up

    def of_service(self, service: Service) -> Scopes:
        """Return the scopes that *service* has now."""
        return roles.scopes_of_service(service, self.roles)

    def _of_imported(
        self, secret: str, digest: str, candidates: Sequence[str], address: str
    ) -> tuple[Token, User | None] | None:
        """Return the token among the *candidates* that has *secret*, which has *digest* as its hash from now on."""
        if not candidates:
            return None
        imported = self.imported_secret_checks.matching(candidates, secret, network_of(address), self.clock.now())
        if imported is None:
            return None
        found = self.tokens.find_with_user(imported)
        if found is None:
            return self.tokens.find_with_user(digest)  # another request has adopted it meanwhile
        if imported_secrets.is_imported(found[0].sha256) and not found[0].is_expired(now := self.clock.now()):
            self.tokens.adopt(found[0], digest, now)
        return found

    def _of_service(self, service: Service) -> Actor:
        self._note_service(service)
        held = self.of_service(service)
        return Actor(service.name, OwnerKind.SERVICE, held, held, service=service)

    def _of_users(self, token: Token, user: User | None, by: _Sender) -> Actor | None:
        if user is None or self.admission.is_blocked(user.name):
            return None
        self._note_activity(user, token, by)
        held = self.effective(token, user)
        return Actor(user.name, OwnerKind.USER, held, self.of_user(user), user=user, token=token)

    def _of_service_token(self, token: Token, by: _Sender) -> Actor | None:
        """Return the service that owns *token*, with the scopes that both have now."""
        service = self.services.of_token_owner(token.owner_id)
        if service is None:
            return None
        self._note_use(token, by)
        self._note_service(service)
        held = self.of_service(service)
        asked = held if "inherit" in token.scopes else scopes.expand(token.scopes, Bearer(service=service.name))
        own = asked.intersection(held, self.groups_of())
        return Actor(service.name, OwnerKind.SERVICE, own, held, service=service, token=token)

    def _note_activity(self, user: User, token: Token | None, by: _Sender | None = None) -> None:
        if token is not None and by is not None:
            self._note_use(token, by)
        now = self.clock.now()
        # A server that uses its own token is not activity of its owner (JupyterHub).
        if (token is None or token.server_id is None) and _is_stale(user.last_activity_at, now):
            with suppress(StoreBusyError):  # the next request notes it
                self.users.touch(user.id, now)

    def _note_use(self, token: Token, by: _Sender) -> None:
        if _is_stale(token.last_activity_at, now := self.clock.now()):
            with suppress(StoreBusyError):  # as above
                self.tokens.touch(token.id, now, address=by.address, agent=by.agent)

    def _note_service(self, service: Service) -> None:
        with suppress(StoreBusyError):  # as above
            self.services.note_activity(service.name, self.clock.now())


def _is_stale(at: datetime | None, now: datetime) -> bool:
    return at is None or now - at >= ACTIVITY_RESOLUTION

"""The service registry: services of settings, and services that admins have added by the API."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Final

from hubless.domain import delegation, roles
from hubless.domain.added_services import CLIENT_ID_PREFIX, MAX_SERVICES, check_service
from hubless.domain.bounds import MAX_IDENTIFIER
from hubless.domain.errors import (
    InvalidRequestError,
    NameTakenError,
    NotFoundError,
    NotPermittedError,
    QuotaExceededError,
)
from hubless.domain.origins import SHARED, Origins
from hubless.domain.roles import Role
from hubless.domain.scopes import Scopes
from hubless.domain.tokens import Client
from hubless.domain.users import Service
from hubless.domain.values import value
from hubless.ports.services import ServiceStore
from hubless.services.routing import Routing

SEEN_RESOLUTION: Final = timedelta(minutes=5)
_MOST_NOTED: Final = 1000  # names that a process remembers


@value
class ServiceRegistry:
    """Finds, adds and removes services. Services of settings come first and never change at run time."""

    configured: Mapping[str, Service]
    store: ServiceStore
    roles: Mapping[str, Role]
    routing: Routing
    origins: Origins = SHARED
    _by_token: dict[str, Service] = field(init=False, default_factory=dict, repr=False)
    _by_client: dict[str, Service] = field(init=False, default_factory=dict, repr=False)

    _noted: dict[str, datetime] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._by_token.update({s.token_sha256: s for s in self.configured.values() if s.token_sha256})
        self._by_client.update({s.oauth_client_id: s for s in self.configured.values() if s.oauth_client_id})

    def get(self, name: str) -> Service | None:
        """Return the service of that name or None."""
        return self.configured.get(name) or (self.store.find(name) if len(name) <= MAX_IDENTIFIER else None)

    def all(self) -> list[Service]:
        """Return all services, those of settings first."""
        return [*self.configured.values(), *(s for s in self.store.all() if s.name not in self.configured)]

    def note_activity(self, name: str, now: datetime) -> None:
        """Keep that the service of this name was seen *now*, in one write in five minutes of this process."""
        before = self._noted.get(name)
        if before is None or abs(now - before) >= SEEN_RESOLUTION:
            self.store.touch(name, now)
            if len(self._noted) >= _MOST_NOTED:
                self._noted.clear()
            self._noted[name] = now

    def last_seen(self) -> dict[str, datetime]:
        """Return by name when each service was last seen, to five minutes; one that never was is left out."""
        return self.store.last_seen()

    def of_settings_token(self, sha256: str) -> Service | None:
        """Return the service of settings whose token has that hash, or None, without reading the store."""
        return self._by_token.get(sha256)

    def of_token(self, sha256: str) -> Service | None:
        """Return the service added by the API whose token has that hash, or None."""
        service = self.store.of_token(sha256)
        return None if service is None or service.name in self.configured else service

    def of_token_owner(self, owner_id: str) -> Service | None:
        """Return the service that owns tokens with this `owner_id`, or None.

        One that was added is nobody while settings have a service of its name.
        """
        name, is_added, _ = owner_id.partition(":")
        if not is_added or name in self.configured:
            return self.configured.get(owner_id)
        service = self.store.find(name)
        return service if service is not None and service.token_owner == owner_id else None

    def adopt_client_secret(self, client: Client, sha256: str) -> None:
        """Replace the imported hash of the client's secret by *sha256*, our own; whoever changed it meanwhile wins."""
        service = None if client.service is None else self.store.find(client.service)
        if service is not None and service.client_secret_hash == client.secret_sha256:
            self.store.change(service, replace(service, client_secret_hash=sha256))

    def client(self, client_id: str) -> Client | None:
        """Return the service's OAuth client of that id, or None."""
        service = self._by_client.get(client_id)
        if service is None and client_id.startswith(CLIENT_ID_PREFIX):
            service = self.store.of_client(client_id)
            if service is not None and service.name in self.configured:
                return None  # a service of settings has its name now
        return None if service is None else _client(service, self.origins)

    def add(self, service: Service, held: Scopes, groups_of: Callable[[str], Iterable[str]], *, by_admin: bool) -> None:
        """Add *service* and its route for a caller with the scopes *held*.

        Raises:
            InvalidRequestError: naming what is wrong, or the scopes of the service that the caller does not have.
            NotPermittedError: when only an admin may add such a service.
            NameTakenError: when another service has its name or its client id.
            StoreConflictError: when another service has its token.
            QuotaExceededError: when there is the maximum number of services.
        """
        check_service(service)
        if self.get(service.name) is not None or (service.oauth_client_id or "") in self._by_client:
            raise NameTakenError("Service", service.name)
        if not by_admin:
            self._require_within(service, held, groups_of)
        try:
            self.store.create(service, limit=MAX_SERVICES)
        except QuotaExceededError as reached:
            raise QuotaExceededError(
                f"There is already the maximum of {MAX_SERVICES} services. One must be removed before one can be added",
                limit=MAX_SERVICES,
            ) from reached
        self.routing.sync_services(self.all())

    def _require_within(self, service: Service, held: Scopes, groups_of: Callable[[str], Iterable[str]]) -> None:
        own = roles.scopes_of_service(service, self.roles).all
        lacking = sorted(str(scope) for scope in own if not held.covers(scope, groups_of))
        # An OAuth client asks whoever logs in for these, an admin too.
        lacking += delegation.exceeding_requests(service.oauth_client_allowed_scopes, service.name, held, groups_of)
        if lacking:
            raise InvalidRequestError(
                f"{service.name} would have scopes that you do not have: {', '.join(lacking[:5])}"
            )
        if service.admin:
            raise NotPermittedError("Only admins can add a service that is an admin")
        if service.oauth_no_confirm:
            raise NotPermittedError(
                "Only admins can set oauth_no_confirm: without it the service asks its users for consent"
            )

    def remove(self, name: str) -> None:
        """Remove a service that was added by the API, its route, and the tokens that were issued to it.

        Raises:
            NotFoundError: when no service added by the API has that name.
        """
        service = self.store.find(name)
        if service is None:
            raise NotFoundError("Service", name)
        self.store.delete(service)
        self.routing.sync_services(self.all())


def _client(service: Service, origins: Origins) -> Client | None:
    secret = service.client_secret_hash or service.token_sha256
    if not secret or not service.oauth_client_id:
        return None
    uri = service.oauth_redirect_uri or f"{service.prefix}oauth_callback"
    return Client(
        id=service.oauth_client_id,
        secret_sha256=secret,
        redirect_uri=uri if "://" in uri else origins.link_to(uri),
        description=f"Service {service.name}",
        access_scopes=(f"access:services!service={service.name}",),
        allowed_scopes=service.oauth_client_allowed_scopes,
        no_confirm=service.oauth_no_confirm,
        service=service.name,
    )

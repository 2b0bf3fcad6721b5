"""The store of services that admins add by the API; services of settings are not stored."""

from datetime import datetime
from typing import Protocol

from hubless.domain.users import Service


class ServiceStore(Protocol):
    """Stores services. Names, client ids and tokens are unique."""

    def find(self, name: str) -> Service | None:
        """Return the service of that name or None."""
        ...

    def of_token(self, sha256: str) -> Service | None:
        """Return the service whose token has that hash, or None."""
        ...

    def of_client(self, client_id: str) -> Service | None:
        """Return the service that is that OAuth client, or None."""
        ...

    def all(self) -> list[Service]:
        """Return all services, sorted by name."""
        ...

    def create(self, service: Service, *, limit: int = 0) -> None:
        """Add *service*.

        Args:
            service: the service.
            limit: the number of services that there may be in the store, this one included; 0 means no limit.

        Raises:
            QuotaExceededError: when the limit is reached; concurrent calls never exceed it.
            NameTakenError: when its name is taken; of two concurrent calls, one raises this.
            StoreConflictError: when another service has its client id or its token.
        """
        ...

    def change(self, before: Service, after: Service) -> bool:
        """Write *after* if the service is as *before*, and say whether it was; name and id stay.

        Raises:
            StoreConflictError: when another service has the client id or the token of *after*.
        """
        ...

    def touch(self, name: str, at: datetime) -> None:
        """Set when the service of this name, which may be one of settings, was last seen, if that is later."""
        ...

    def last_seen(self) -> dict[str, datetime]:
        """Return by name when each service was last seen, in one read; one that never was is left out."""
        ...

    def delete(self, service: Service) -> None:
        """Remove the service with its codes, its own tokens, those issued to it, and when it was last seen.

        None of them is valid after the first write: whoever finds a token asks whether its service is there.
        """
        ...

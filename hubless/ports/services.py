"""Services that were added by the API, stored; those of settings are not."""

from typing import Protocol

from hubless.domain.users import Service


class ServiceStore(Protocol):
    """Holds services. Names, client ids and tokens are unique."""

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
        """Return all services by name."""
        ...

    def create(self, service: Service) -> None:
        """Add *service*.

        Raises:
            NameTakenError: when its name is taken; of two at once, one is told so.
            StoreConflictError: when its client id or its token is another's.
        """
        ...

    def delete(self, service: Service) -> None:
        """Remove the service with its codes and every token that it was issued: from the first write on none of it counts."""
        ...

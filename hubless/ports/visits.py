"""The store of visits. They go with the owner of the server, and some time after they are too old to be shown."""

from datetime import datetime
from typing import Protocol

from hubless.domain.visits import Visit


class VisitStore(Protocol):
    """Stores the latest visit of each person at each server, by a role and by a share apart."""

    def put(self, visit: Visit) -> None:
        """Replace the person's visit at this server; do nothing if the owner does not exist."""
        ...

    def by_role(self, owner_id: str, since: datetime, *, limit: int) -> list[Visit]:
        """Return the owner's visits by a role that were after *since*, newest first, at most *limit*."""
        ...

    def by_share(self, owner_id: str, server_id: str, since: datetime, *, limit: int) -> list[Visit]:
        """Return the visits of one server by a share that were after *since*, newest first, at most *limit*."""
        ...

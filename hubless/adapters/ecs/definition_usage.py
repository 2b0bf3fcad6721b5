"""Records when each kind of task definition was last used, as an empty object in S3 for each kind.

There may be a definition for each owner and profile, which are too many to list; kinds are few. S3's time of the object
is when a launch last began to use the kind.
"""

from datetime import datetime, timedelta

from hubless.adapters.aws import Clients
from hubless.adapters.ecs.config import EcsConfig

# A launch renews the record after half of this time, so no launch uses a kind with an older one.
UNUSED_AFTER = timedelta(days=1)


class DefinitionUsage:
    """Writes, lists and removes the records."""

    def __init__(self, config: EcsConfig, clients: Clients) -> None:
        self._bucket, self._folder, self._clients = config.bucket, f"definitions/{config.hub}/", clients

    def mark(self, kind: str) -> None:
        """Record that *kind* is used now."""
        self._clients.s3.put_object(Bucket=self._bucket, Key=self._folder + kind, Body=b"")

    def all(self) -> dict[str, datetime]:
        """Return when each recorded kind was last used."""
        pages = self._clients.s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._folder)
        items = (item for page in pages for item in page.get("Contents") or ())
        return {str(item["Key"]).removeprefix(self._folder): item["LastModified"] for item in items}

    def remove(self, kind: str) -> None:
        """Remove the record of *kind*."""
        self._clients.s3.delete_object(Bucket=self._bucket, Key=self._folder + kind)

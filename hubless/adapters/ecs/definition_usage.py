"""Which kinds of task definitions there are, as marks in S3: one for each, and when it was last about to be used.

There may be a definition for each owner and profile, too many to go through; kinds are few. S3's own time of a mark is when
somebody last began to launch by that kind.
"""

from datetime import datetime, timedelta

from hubless.adapters.aws import Clients
from hubless.adapters.ecs.config import EcsConfig

# Whoever launches renews the mark in half of this time, so what is older than this nobody launches by.
UNUSED_AFTER = timedelta(days=1)


class DefinitionUsage:
    """Writes, lists and removes the marks."""

    def __init__(self, config: EcsConfig, clients: Clients) -> None:
        self._bucket, self._folder, self._clients = config.bucket, f"definitions/{config.hub}/", clients

    def mark(self, kind: str) -> None:
        """Note that the kind is used now."""
        self._clients.s3.put_object(Bucket=self._bucket, Key=self._folder + kind, Body=b"")

    def all(self) -> dict[str, datetime]:
        """Return every kind that has a mark, and when that was written."""
        pages = self._clients.s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._folder)
        items = (item for page in pages for item in page.get("Contents") or ())
        return {str(item["Key"]).removeprefix(self._folder): item["LastModified"] for item in items}

    def remove(self, kind: str) -> None:
        """Forget the kind."""
        self._clients.s3.delete_object(Bucket=self._bucket, Key=self._folder + kind)

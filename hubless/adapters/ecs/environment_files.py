"""The secrets of each launch, as a file of variables in S3 that the task's overrides name (ADR 10).

ECS reads it when it starts the container; neither descriptions of tasks nor events show more than its name. It lies there
from just before the task is asked for until the launch is forgotten, so these files also say which launches there may be.
"""

import re
from collections.abc import Mapping
from datetime import datetime

from hubless.adapters.aws import Clients
from hubless.adapters.ecs.config import EcsConfig
from hubless.domain.errors import LaunchFailedError

FILE, MARK = ".env", ".on-demand"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# ECS's reader of these files ends a value at a second `=` and leaves out what is empty; a line break would let a value set
# variables of its own choice.
_VALUE = re.compile(r"[!-<>-~]+")


class EnvironmentFiles:
    """Writes, finds and removes what a launch has in the bucket."""

    def __init__(self, config: EcsConfig, clients: Clients) -> None:
        self._config, self._clients = config, clients
        self._folder = f"launches/{config.hub}/"
        self._partition = config.execution_role.split(":")[1] if ":" in config.execution_role else "aws"

    def put(self, launch_id: str, secrets: Mapping[str, str]) -> None:
        """Write the secrets of a launch; again is the same.

        Raises:
            LaunchFailedError: when a line cannot hold one.
        """
        body = "".join(_line(name, value) for name, value in sorted(secrets.items()))
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self._config.key} if self._config.key else {}
        self._clients.s3.put_object(
            Bucket=self._config.bucket,
            Key=self._key(launch_id),
            Body=body.encode(),
            ContentType="text/plain",
            **encryption,
        )

    def reference(self, launch_id: str) -> str:
        """Return how a task names the file."""
        return f"arn:{self._partition}:s3:::{self._config.bucket}/{self._key(launch_id)}"

    def written_at(self, launch_id: str) -> datetime | None:
        """Return when the launch was last about to be started, or None when it is forgotten or never was."""
        # Listed and not read: the hub itself needs no right to read what it wrote.
        found = self._clients.s3.list_objects_v2(Bucket=self._config.bucket, Prefix=self._key(launch_id), MaxKeys=1)
        at: datetime | None = found["Contents"][0]["LastModified"] if found.get("Contents") else None
        return at

    def launches(self) -> dict[str, datetime]:
        """Return every launch that has something here, and when it was last about to be started."""
        pages = self._clients.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._config.bucket, Prefix=self._folder
        )
        found: dict[str, datetime] = {}
        for item in (item for page in pages for item in page.get("Contents") or ()):
            launch_id, _, kind = str(item["Key"]).removeprefix(self._folder).partition(".")
            if f".{kind}" == FILE or launch_id not in found:
                found[launch_id] = item["LastModified"]
        return found

    def remove(self, launch_id: str) -> None:
        """Remove all that the launch has here."""
        self._clients.s3.delete_object(Bucket=self._config.bucket, Key=self._key(launch_id))
        self._clients.s3.delete_object(Bucket=self._config.bucket, Key=self._key(launch_id, MARK))

    def mark_on_demand(self, launch_id: str) -> None:
        """Note that Spot had no place for the launch: however often it is tried again, it runs on demand."""
        self._clients.s3.put_object(Bucket=self._config.bucket, Key=self._key(launch_id, MARK), Body=b"")

    def is_on_demand(self, launch_id: str) -> bool:
        """Say whether that is noted."""
        key = self._key(launch_id, MARK)
        return bool(self._clients.s3.list_objects_v2(Bucket=self._config.bucket, Prefix=key, MaxKeys=1).get("Contents"))

    def _key(self, launch_id: str, kind: str = FILE) -> str:
        return f"{self._folder}{launch_id}{kind}"


def _line(name: str, value: str) -> str:
    if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
        raise LaunchFailedError(
            f"The secret {name[:60]!r} cannot be given to a server: a file of variables cannot hold it"
        )
    return f"{name}={value}\n"

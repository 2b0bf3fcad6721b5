"""The secrets of each launch, in an environment file in S3 that the task's overrides name (ADR 10).

ECS reads it when it starts the container; task descriptions and events show only its name. The file exists from just
before RunTask until the launch is forgotten, so the files also list all launches that may exist.
"""

import re
from collections.abc import Mapping
from datetime import datetime

from hubless.adapters.aws import Clients
from hubless.adapters.ecs.config import EcsConfig
from hubless.domain.errors import LaunchFailedError

FILE, MARK = ".env", ".on-demand"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# ECS cuts a value at its second `=` and drops empty ones. A line break in a value would set further variables.
_VALUE = re.compile(r"[!-<>-~]+")


class EnvironmentFiles:
    """Writes, finds and removes the objects of launches in the bucket."""

    def __init__(self, config: EcsConfig, clients: Clients) -> None:
        self._config, self._clients = config, clients
        self._folder = f"launches/{config.hub}/"
        self._partition = config.execution_role.split(":")[1] if ":" in config.execution_role else "aws"

    def put(self, launch_id: str, secrets: Mapping[str, str]) -> None:
        """Write the secrets of a launch. Idempotent.

        Raises:
            LaunchFailedError: if an environment file cannot hold one of them.
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
        """Return the ARN by which a task names the file."""
        return f"arn:{self._partition}:s3:::{self._config.bucket}/{self._key(launch_id)}"

    def written_at(self, launch_id: str) -> datetime | None:
        """Return when the launch was last tried, or None if it is forgotten or never was tried."""
        # Listed and not read: so the hub needs no right to read the files.
        found = self._clients.s3.list_objects_v2(Bucket=self._config.bucket, Prefix=self._key(launch_id), MaxKeys=1)
        at: datetime | None = found["Contents"][0]["LastModified"] if found.get("Contents") else None
        return at

    def launches(self) -> dict[str, datetime]:
        """Return each launch with an object here, and when it was last tried."""
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
        """Remove all objects of the launch."""
        self._clients.s3.delete_object(Bucket=self._config.bucket, Key=self._key(launch_id))
        self._clients.s3.delete_object(Bucket=self._config.bucket, Key=self._key(launch_id, MARK))

    def mark_on_demand(self, launch_id: str) -> None:
        """Record that Spot had no capacity for the launch: all later tries run on demand."""
        self._clients.s3.put_object(Bucket=self._config.bucket, Key=self._key(launch_id, MARK), Body=b"")

    def is_on_demand(self, launch_id: str) -> bool:
        """Say whether the launch must run on demand."""
        key = self._key(launch_id, MARK)
        return bool(self._clients.s3.list_objects_v2(Bucket=self._config.bucket, Prefix=key, MaxKeys=1).get("Contents"))

    def _key(self, launch_id: str, kind: str = FILE) -> str:
        return f"{self._folder}{launch_id}{kind}"


def can_hold(name: str, value: str) -> bool:
    """Say whether an environment file brings *value* to a server as it is."""
    return bool(_NAME.fullmatch(name) and _VALUE.fullmatch(value))


def _line(name: str, value: str) -> str:
    if not can_hold(name, value):
        raise LaunchFailedError(
            f"Cannot pass the secret {name[:60]!r} to a server: an environment file cannot hold its name or value"
        )
    return f"{name}={value}\n"

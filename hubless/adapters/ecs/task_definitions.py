"""Task definitions: what all launches of a profile have in common, registered once.

The name of a family is the hub's name, a digest of the profile's part (its kind), and a digest of the whole content. So
an existing definition is always right, and one request finds it. A definition contains nothing of a single launch: ECS
accepts one registration a second, and a whole class starts at once. With homes each owner has a definition for each
profile, because a volume's access point is in the definition (ADR 33): so they are registered ahead.
"""

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from hubless.adapters.aws import Clients
from hubless.adapters.ecs import naming
from hubless.adapters.ecs.config import EcsConfig
from hubless.adapters.ecs.definition_usage import UNUSED_AFTER, DefinitionUsage
from hubless.adapters.ecs.naming import CONTAINER, digest
from hubless.adapters.ecs.sizes import size_for
from hubless.domain.errors import LaunchFailedError
from hubless.domain.profiles import Profile, by_default
from hubless.ports.clock import Clock
from hubless.ports.launcher import SECRET_NAMES, Preparation

SERVICE_URL = "JUPYTERHUB_SERVICE_URL"
LOG_BYTES = 262_144  # a minute, of each server: at most $6 a month where it writes without a pause
IMAGE_PYTHON = "/usr/local/bin/python3"  # of images/singleuser
_HOME = "home"
GIB = 1024**3
FREE_STORAGE, MAX_STORAGE = 20, 200  # GiB, Fargate's


class TaskDefinitions:
    """Builds and registers task definitions."""

    def __init__(self, config: EcsConfig, clients: Clients, clock: Clock) -> None:
        self._config, self._clients, self._clock = config, clients, clock
        self._usage = DefinitionUsage(config, clients)
        self._known: set[str] = set()
        self._marked: dict[str, datetime] = {}

    def is_registered(self, profile: Profile, access_point: str | None) -> bool:
        """Say whether the definition exists. ECS's list may lag a moment.

        Raises:
            LaunchFailedError: if no Fargate size fits the profile.
        """
        _, family, _ = self._named(profile, access_point)
        return self._is_known(family)

    def family_for(self, profile: Profile, access_point: str | None) -> str:
        """Return the family for launches with *profile* and that home; register it if it does not exist."""
        return self._made(*self._named(profile, access_point))

    def family_of_spares(self, profile: Profile) -> str:
        """Return the family for spares of *profile*; register it if it does not exist."""
        return self._made(*self._named_of_spares(profile))

    def kind_of_spare(self, profile: Profile) -> str:
        """Return the kind of definitions for spares of *profile*.

        Raises:
            LaunchFailedError: if no Fargate size fits the profile.
        """
        return _digest(self._content(profile, (), None, waits=True))

    def register_again(self, profile: Profile, access_point: str | None, *, waits: bool = False) -> None:
        """Register a definition that was just deregistered, without a look at ECS's lists, which may lag."""
        kind, family, content = self._named_of_spares(profile) if waits else self._named(profile, access_point)
        self._marked.pop(kind, None)
        self._mark(kind)
        self._register(family, content)

    def unregistered(
        self, wanted: Iterable[Preparation], access_points: Mapping[str, str] | None
    ) -> Iterator[Preparation]:
        """Yield those of *wanted* without a definition, each definition once, by listing the families of each kind.

        *access_points* has the access point of each owner that has one; it is None without homes.
        """
        listed: dict[str, set[str]] = {}
        for one in wanted:
            try:
                kind, family, _ = self._named(one.profile, self._access_point(one, access_points))
            except LaunchFailedError:  # larger than any Fargate size: the start will say so
                continue
            if kind not in listed:
                listed[kind] = self._registered(kind)
            if family not in listed[kind]:
                listed[kind].add(family)
                yield one

    def kinds_of(self, profiles: Iterable[Profile]) -> set[str]:
        """Return the kinds of definitions that *profiles* need."""
        found = set()
        for profile in profiles:
            with suppress(LaunchFailedError):  # larger than any Fargate size: no task uses it
                found.add(self._kind_of(profile))
                if profile.warmth.count:
                    found.add(self.kind_of_spare(by_default(profile)))
        return found

    def _named(self, profile: Profile, access_point: str | None) -> tuple[str, str, dict[str, Any]]:
        content, kind = self._content(profile, SECRET_NAMES, access_point), self._kind_of(profile)
        return kind, f"{naming.families_of(self._config.hub, kind)}{_digest(content)}", content

    def _named_of_spares(self, profile: Profile) -> tuple[str, str, dict[str, Any]]:
        kind, content = self.kind_of_spare(profile), self._content(profile, SECRET_NAMES, None, waits=True)
        return kind, f"{naming.families_of(self._config.hub, kind)}{_digest(content)}", content

    def _made(self, kind: str, family: str, content: dict[str, Any]) -> str:
        self._mark(kind)
        if not self._is_known(family):
            self._register(family, content)
            self._known.add(family)
        return family

    def _is_known(self, family: str) -> bool:
        if family not in self._known and self._is_there(family):
            self._known.add(family)
        return family in self._known

    @staticmethod
    def _access_point(wanted: Preparation, known: Mapping[str, str] | None) -> str | None:
        # Without an access point yet, the owner's id takes its place: no definition has that name.
        return None if known is None else known.get(wanted.owner_id, wanted.owner_id)

    def _registered(self, kind: str) -> set[str]:
        """Return the families of *kind* with an active definition."""
        pages = self._clients.ecs.get_paginator("list_task_definition_families").paginate(
            familyPrefix=naming.families_of(self._config.hub, kind), status="ACTIVE"
        )
        return {str(family) for page in pages for family in page["families"]}

    def _kind_of(self, profile: Profile) -> str:
        homes = self._config.homes
        content = self._content(profile, (), "" if homes else None)
        # Owners' roles come with the launch. Their kind is another, so that each definition is younger than its role.
        return _digest(content | {"taskRoleArn": ""} if homes and homes.role_boundary else content)

    def _mark(self, kind: str) -> None:
        """Record that *kind* is in use: before its definition exists, and long before the record is too old."""
        now = self._clock.now()
        if kind not in self._marked or now - self._marked[kind] >= UNUSED_AFTER / 2:
            self._usage.mark(kind)
            self._marked[kind] = now

    def _is_there(self, family: str) -> bool:
        found = self._clients.ecs.list_task_definitions(familyPrefix=family, status="ACTIVE", maxResults=1)
        return bool(found["taskDefinitionArns"])

    def _register(self, family: str, content: dict[str, Any]) -> None:
        # Two functions at once register the same content twice; either revision is right.
        tags = [{"key": "hubless:hub", "value": self._config.hub}]
        self._clients.ecs.register_task_definition(family=family, tags=tags, **content)

    def _content(
        self, profile: Profile, secrets: Collection[str], access_point: str | None, *, waits: bool = False
    ) -> dict[str, Any]:
        config = self._config
        if profile.gpus:
            raise LaunchFailedError(
                f"The profile {profile.title} needs a GPU, and Fargate has none. Choose another profile."
            )
        size = size_for(
            cpus=profile.cpus or config.cpus,
            memory_bytes=profile.memory_bytes or config.memory_bytes,
            profile=profile.name,
        )
        return {
            "networkMode": "awsvpc",
            "requiresCompatibilities": ["FARGATE"],
            "cpu": str(size.cpu),
            "memory": str(size.memory),
            "executionRoleArn": config.execution_role,
            "taskRoleArn": config.task_role,
            "runtimePlatform": {"operatingSystemFamily": "LINUX", "cpuArchitecture": config.architecture},
            "containerDefinitions": [self._container(profile, secrets, has_home=access_point is not None, waits=waits)],
            "volumes": [self._volume(access_point)] if access_point is not None else [],
            **_storage(profile),
        }

    def _container(self, profile: Profile, secrets: Collection[str], *, has_home: bool, waits: bool) -> dict[str, Any]:
        config = self._config
        home = (
            [{"sourceVolume": _HOME, "containerPath": config.homes.mounted_at, "readOnly": False}]
            if config.homes
            else []
        )
        return {
            "name": CONTAINER,
            "image": config.pulled_image(profile.image or config.image),
            "essential": True,
            "command": self._command(profile, waits=waits),
            # A definition's variables override those of the file: those of the launch must not be here.
            "environment": [
                {"name": name, "value": value}
                for name, value in sorted(profile.environment.items())
                if name != SERVICE_URL and name not in secrets
            ],
            "portMappings": [{"containerPort": config.port, "protocol": "tcp"}],
            "mountPoints": home if has_home else [],
            "stopTimeout": config.stop_seconds,
            # The root file system stays writable, because users install packages. Notebooks need no raw sockets.
            "readonlyRootFilesystem": False,
            # An init process has the log open, and the server's user may open it there: so the limit comes first.
            "linuxParameters": {
                "initProcessEnabled": not self._is_limit_first(profile),
                "capabilities": {"drop": ["NET_RAW"]},
            },
            # The check has the variables with which the container began, and a spare has no prefix then.
            **({} if waits else {"healthCheck": self._health_check()}),
            **self._log(),
        }

    def _is_limit_first(self, profile: Profile) -> bool:
        """Say whether the limit of output is the container's first process: not where the image has an entrypoint."""
        return bool(self._config.log_group) and self._is_own_image(profile)

    def _is_own_image(self, profile: Profile) -> bool:
        return self._config.has_own_image and not profile.image

    def _command(self, profile: Profile, *, waits: bool) -> list[str]:
        """Return what the container runs: the profile's command, whose output has a limit if it goes to a log.

        A spare *waits* for its launch before it runs the command.
        """
        # By its path in our own image: the user's home, which outlives servers, is on the PATH before it.
        python = IMAGE_PYTHON if self._is_own_image(profile) else "python3"
        command = [*profile.command, *profile.args]
        if waits:
            command = [python, "-I", "-c", _source("waiting_task.py"), *command]
        if not self._config.log_group:
            return command
        return [python, "-I", "-c", _source("limited_output.py"), str(LOG_BYTES), *command]

    def _log(self) -> dict[str, Any]:
        config = self._config
        if not config.log_group:
            return {}
        options = {
            "awslogs-group": config.log_group,
            "awslogs-region": config.region,
            "awslogs-stream-prefix": config.hub,
            "mode": "non-blocking",  # a slow log must not block a kernel
        }
        return {"logConfiguration": {"logDriver": "awslogs", "options": options}}

    def _health_check(self) -> dict[str, Any]:
        url = f'"http://127.0.0.1:{self._config.port}" + os.environ["JUPYTERHUB_SERVICE_PREFIX"] + "api"'
        code = f"import os, urllib.request; urllib.request.urlopen({url}, timeout=5)"
        return {
            "command": ["CMD", "python3", "-c", code],
            "interval": 60,
            "timeout": 10,
            "retries": 3,
            "startPeriod": 120,
        }

    def _volume(self, access_point: str) -> dict[str, Any]:
        efs = {
            "fileSystemId": self._config.homes.file_system if self._config.homes else "",
            "transitEncryption": "ENABLED",
            "authorizationConfig": {"accessPointId": access_point, "iam": "ENABLED"},
        }
        return {"name": _HOME, "efsVolumeConfiguration": efs}


def _storage(profile: Profile) -> dict[str, Any]:
    """Return the container's own disk: Fargate gives 20 GiB unasked, and 21 to 200 GiB for money."""
    if profile.storage_bytes is None or profile.storage_bytes <= FREE_STORAGE * GIB:
        return {}
    size = math.ceil(profile.storage_bytes / GIB)
    if size > MAX_STORAGE:
        raise LaunchFailedError(
            f"The profile {profile.title} asks for {size} GiB of disk. Fargate offers at most {MAX_STORAGE}."
        )
    return {"ephemeralStorage": {"sizeInGiB": size}}


@cache
def _source(file: str) -> str:
    return Path(__file__).with_name(file).read_text(encoding="utf-8")


def _digest(content: dict[str, Any]) -> str:
    return digest(json.dumps(content, sort_keys=True))

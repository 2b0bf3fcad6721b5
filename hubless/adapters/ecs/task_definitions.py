"""Task definitions: what is the same for every launch of a profile, registered once.

A definition's family is the hub's name, a digest of what a profile makes it say, whoever starts it (its kind), and a digest
of all that it says: so one that exists is right, finding it is one question, and its name tells for what it was made. Nothing
of a launch is in it: ECS takes one registration a second, and a class starts at once.
"""

import json
from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any

from hubless.adapters.aws import Clients
from hubless.adapters.ecs import naming
from hubless.adapters.ecs.config import EcsConfig
from hubless.adapters.ecs.definition_usage import UNUSED_AFTER, DefinitionUsage
from hubless.adapters.ecs.naming import CONTAINER, digest
from hubless.adapters.ecs.sizes import size_for
from hubless.domain.errors import LaunchFailedError
from hubless.domain.profiles import Profile
from hubless.ports.clock import Clock
from hubless.ports.launcher import Launch

SERVICE_URL = "JUPYTERHUB_SERVICE_URL"
_HOME = "home"


class TaskDefinitions:
    """Builds and registers task definitions."""

    def __init__(self, config: EcsConfig, clients: Clients, clock: Clock) -> None:
        self._config, self._clients, self._clock = config, clients, clock
        self._usage = DefinitionUsage(config, clients)
        self._known: set[str] = set()
        self._marked: dict[str, datetime] = {}

    def family_for(self, launch: Launch, access_point: str | None) -> str:
        """Return the family by which *launch* is run, registered where it was not."""
        kind, family, content = self._named(launch, access_point)
        self._mark(kind)
        if family not in self._known:
            if not self._is_there(family):
                self._register(family, content)
            self._known.add(family)
        return family

    def register_again(self, launch: Launch, access_point: str | None) -> None:
        """Register what was deregistered just now; nobody is asked, as ECS's lists may not know of that yet."""
        kind, family, content = self._named(launch, access_point)
        self._marked.pop(kind, None)
        self._mark(kind)
        self._register(family, content)

    def kinds_of(self, profiles: Iterable[Profile]) -> set[str]:
        """Return the kinds of definitions by which servers of *profiles* are run."""
        found = set()
        for profile in profiles:
            with suppress(LaunchFailedError):  # larger than Fargate has: nothing is ever run by it
                found.add(self._kind_of(profile))
        return found

    def _named(self, launch: Launch, access_point: str | None) -> tuple[str, str, dict[str, Any]]:
        content, kind = (
            self._content(launch.profile, launch.secrets.keys(), access_point),
            self._kind_of(launch.profile),
        )
        return kind, f"{naming.families_of(self._config.hub, kind)}{_digest(content)}", content

    def _kind_of(self, profile: Profile) -> str:
        return _digest(self._content(profile, (), "" if self._config.homes else None))

    def _mark(self, kind: str) -> None:
        """Note that the kind is in use: before anything of it is there, and long before the note is too old."""
        now = self._clock.now()
        if kind not in self._marked or now - self._marked[kind] >= UNUSED_AFTER / 2:
            self._usage.mark(kind)
            self._marked[kind] = now

    def _is_there(self, family: str) -> bool:
        found = self._clients.ecs.list_task_definitions(familyPrefix=family, status="ACTIVE", maxResults=1)
        return bool(found["taskDefinitionArns"])

    def _register(self, family: str, content: dict[str, Any]) -> None:
        # Two who are here at once register the same twice: it does not matter which one runs.
        tags = [{"key": "hubless:hub", "value": self._config.hub}]
        self._clients.ecs.register_task_definition(family=family, tags=tags, **content)

    def _content(self, profile: Profile, secrets: Collection[str], access_point: str | None) -> dict[str, Any]:
        config = self._config
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
            "containerDefinitions": [self._container(profile, secrets, has_home=access_point is not None)],
            "volumes": [self._volume(access_point)] if access_point is not None else [],
        }

    def _container(self, profile: Profile, secrets: Collection[str], *, has_home: bool) -> dict[str, Any]:
        config = self._config
        home = (
            [{"sourceVolume": _HOME, "containerPath": config.homes.mounted_at, "readOnly": False}]
            if config.homes
            else []
        )
        return {
            "name": CONTAINER,
            "image": profile.image or config.image,
            "essential": True,
            "command": [*profile.command, *profile.args],
            # Variables of a definition come before those of a file: what is the launch's own must not be here.
            "environment": [
                {"name": name, "value": value}
                for name, value in sorted(profile.environment.items())
                if name != SERVICE_URL and name not in secrets
            ],
            "portMappings": [{"containerPort": config.port, "protocol": "tcp"}],
            "mountPoints": home if has_home else [],
            "stopTimeout": config.stop_seconds,
            # The root of the file system stays writable: people install packages. What no notebook needs goes.
            "readonlyRootFilesystem": False,
            "linuxParameters": {"initProcessEnabled": True, "capabilities": {"drop": ["NET_RAW"]}},
            "healthCheck": self._health_check(),
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": config.log_group,
                    "awslogs-region": config.region,
                    "awslogs-stream-prefix": config.hub,
                    "mode": "non-blocking",  # a log that is slow must not hold up a kernel
                },
            },
        }

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


def _digest(content: dict[str, Any]) -> str:
    return digest(json.dumps(content, sort_keys=True))

"""Task definitions: what is the same for every launch of a profile, registered once.

A definition's family is the hub's name and a digest of all that the definition says, so one that exists is right and
finding it is one question. Nothing of a launch is in it: ECS takes one registration a second, and a class starts at once.
"""

import json
from typing import Any

from hubless.adapters.aws import Clients
from hubless.adapters.ecs.facts import Facts
from hubless.adapters.ecs.naming import CONTAINER, digest
from hubless.adapters.ecs.sizes import size_for
from hubless.ports.launcher import Launch

SERVICE_URL = "JUPYTERHUB_SERVICE_URL"
_HOME = "home"


class Definitions:
    """Builds and registers task definitions."""

    def __init__(self, facts: Facts, clients: Clients) -> None:
        self._facts, self._clients = facts, clients
        self._known: set[str] = set()

    def family_for(self, launch: Launch, access_point: str | None) -> str:
        """Return the family by which *launch* is run, registered where it was not."""
        content = self._content(launch, access_point)
        family = f"{self._facts.hub}-{digest(json.dumps(content, sort_keys=True))}"
        if family not in self._known:
            self._ensure(family, content)
            self._known.add(family)
        return family

    def _ensure(self, family: str, content: dict[str, Any]) -> None:
        found = self._clients.ecs.list_task_definitions(familyPrefix=family, status="ACTIVE", maxResults=1)
        if not found["taskDefinitionArns"]:
            # Two who are here at once register the same twice: it does not matter which one runs.
            tags = [{"key": "hubless:hub", "value": self._facts.hub}]
            self._clients.ecs.register_task_definition(family=family, tags=tags, **content)

    def _content(self, launch: Launch, access_point: str | None) -> dict[str, Any]:
        facts, profile = self._facts, launch.profile
        size = size_for(
            cpus=profile.cpus or facts.cpus, memory_bytes=profile.memory_bytes or facts.memory_bytes, profile=profile.name
        )
        return {
            "networkMode": "awsvpc",
            "requiresCompatibilities": ["FARGATE"],
            "cpu": str(size.cpu),
            "memory": str(size.memory),
            "executionRoleArn": facts.execution_role,
            "taskRoleArn": facts.task_role,
            "runtimePlatform": {"operatingSystemFamily": "LINUX", "cpuArchitecture": facts.architecture},
            "containerDefinitions": [self._container(launch, has_home=access_point is not None)],
            "volumes": [self._volume(access_point)] if access_point else [],
        }

    def _container(self, launch: Launch, *, has_home: bool) -> dict[str, Any]:
        facts, profile = self._facts, launch.profile
        home = [{"sourceVolume": _HOME, "containerPath": facts.homes.mounted_at, "readOnly": False}] if facts.homes else []
        return {
            "name": CONTAINER,
            "image": profile.image or facts.image,
            "essential": True,
            "command": [*profile.command, *profile.args],
            # Variables of a definition come before those of a file: what is the launch's own must not be here.
            "environment": [
                {"name": name, "value": value}
                for name, value in sorted(profile.environment.items())
                if name != SERVICE_URL and name not in launch.secrets
            ],
            "portMappings": [{"containerPort": facts.port, "protocol": "tcp"}],
            "mountPoints": home if has_home else [],
            "stopTimeout": facts.stop_seconds,
            # The root of the file system stays writable: people install packages. What no notebook needs goes.
            "readonlyRootFilesystem": False,
            "linuxParameters": {"initProcessEnabled": True, "capabilities": {"drop": ["NET_RAW"]}},
            "healthCheck": self._health_check(),
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": facts.log_group,
                    "awslogs-region": facts.region,
                    "awslogs-stream-prefix": facts.hub,
                    "mode": "non-blocking",  # a log that is slow must not hold up a kernel
                },
            },
        }

    def _health_check(self) -> dict[str, Any]:
        url = f'"http://127.0.0.1:{self._facts.port}" + os.environ["JUPYTERHUB_SERVICE_PREFIX"] + "api"'
        code = f"import os, urllib.request; urllib.request.urlopen({url}, timeout=5)"
        return {"command": ["CMD", "python3", "-c", code], "interval": 60, "timeout": 10, "retries": 3, "startPeriod": 120}

    def _volume(self, access_point: str) -> dict[str, Any]:
        efs = {
            "fileSystemId": self._facts.homes.file_system if self._facts.homes else "",
            "transitEncryption": "ENABLED",
            "authorizationConfig": {"accessPointId": access_point, "iam": "ENABLED"},
        }
        return {"name": _HOME, "efsVolumeConfiguration": efs}

"""Roles of IAM, one for each owner: with it a task mounts the owner's access point, and may do nothing else (ADR 34).

A role has no policy. It has the owner's access point as a tag, and the file system's policy lets a role mount the
access point of its tag. A permissions boundary denies whatever somebody might allow it later.
"""

import json
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from hubless.adapters.aws import Clients
from hubless.adapters.ecs import error_translation, naming
from hubless.adapters.ecs.config import EcsConfig, HomeFileSystem
from hubless.adapters.ecs.unowned_resources import UnownedResources
from hubless.domain.errors import CapacityUnavailableError, LaunchFailedError
from hubless.ports.clock import Clock

# ECS knows a new role after some seconds. IAM promises no limit.
NEW_FOR, RETRY_AFTER = timedelta(minutes=2), timedelta(seconds=5)
REMOVABLE_AFTER = timedelta(hours=1)  # a younger role may be ahead of its user's record
PER_PAGE = 1000  # as many as IAM lists in a call


class TaskRoles:
    """Makes the role of an owner, and removes those of owners who are gone."""

    def __init__(self, config: EcsConfig, homes: HomeFileSystem, clients: Clients, clock: Clock) -> None:
        self._config, self._homes, self._clients, self._clock = config, homes, clients, clock
        _, self._partition, _, _, self._account, _ = homes.role_boundary.split(":", 5)
        self._path = naming.role_path(config.hub, config.region)
        # Names are unique in an account whatever their paths; another file system has other access points.
        self._ending = "-" + naming.digest("role", config.hub, config.region, homes.file_system)[:8]
        self._unowned = UnownedResources(clock, self._owners, self._remove)

    def arn_of(self, owner_id: str) -> str:
        """Return the ARN of the owner's role, whether it exists or not."""
        return f"arn:{self._partition}:iam::{self._account}:role{self._path}{self._name_of(owner_id)}"

    def make(self, owner_id: str, access_point: str) -> datetime:
        """Make the owner's role if it does not exist, and return when it was made.

        Raises:
            LaunchFailedError: if a role of that name may do something else.
            CapacityUnavailableError: if IAM does not show the role yet.
        """
        tag = {"Key": naming.ACCESS_POINT_TAG, "Value": self._arn_of_access_point(access_point)}
        try:
            made = self._clients.iam.create_role(
                Path=self._path,
                RoleName=self._name_of(owner_id),
                AssumeRolePolicyDocument=json.dumps(self._trust()),
                Description=f"Of the servers of user {owner_id}: it may mount their files",
                PermissionsBoundary=self._homes.role_boundary,
                Tags=[tag],
            )
        except ClientError as error:
            if error_translation.code_of(error) != "EntityAlreadyExists":
                raise
            return _made_at(self._checked(owner_id, tag))
        return _made_at(made["Role"])

    def wait_for(self, owner_id: str, access_point: str) -> None:
        """Let a launch that ECS refused wait for the owner's role, which is made if it is missing.

        Raises:
            CapacityUnavailableError: while ECS may not know the role yet.
            LaunchFailedError: if a role of that name may do something else.
        """
        made_at = self.make(owner_id, access_point)
        if self._clock.now() - made_at < NEW_FOR:
            raise CapacityUnavailableError(
                f"ECS does not know the new role {self.arn_of(owner_id)} yet", after=RETRY_AFTER
            )

    def remove_unowned(self, existing: Callable[[Collection[str]], Collection[str]]) -> int:
        """Remove a few roles of owners who are not among the *existing* ones, and return how many."""
        return self._unowned.remove_some(existing)

    def _checked(self, owner_id: str, tag: dict[str, str]) -> dict[str, Any]:
        """Return the owner's role that exists, if it is what `make` makes."""
        try:
            role: dict[str, Any] = self._clients.iam.get_role(RoleName=self._name_of(owner_id))["Role"]
        except ClientError as error:
            if error_translation.code_of(error) != "NoSuchEntity":
                raise
            raise CapacityUnavailableError("IAM does not show the new role yet", after=RETRY_AFTER) from error
        boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        is_ours = role["Arn"] == self.arn_of(owner_id) and boundary == self._homes.role_boundary
        if not is_ours or role.get("Tags") != [tag]:
            raise LaunchFailedError(
                f"The role {role['Arn']} has another path, permissions boundary or access point than that of user"
                f" {owner_id}: delete it, and the hub makes it again"
            )
        return role

    def _owners(self, now: datetime) -> list[str]:
        """Return the owner ids of the roles that are no longer new, in IAM's order."""
        pages = self._clients.iam.get_paginator("list_roles").paginate(
            PathPrefix=self._path, PaginationConfig={"PageSize": PER_PAGE}
        )
        return [
            str(role["RoleName"]).removesuffix(self._ending)
            for page in pages
            for role in page["Roles"]
            if role["RoleName"].endswith(self._ending) and now - role["CreateDate"] >= REMOVABLE_AFTER
        ]

    def _remove(self, owner_id: str) -> None:
        try:
            self._clients.iam.delete_role(RoleName=self._name_of(owner_id))
        except ClientError as error:
            if error_translation.code_of(error) != "NoSuchEntity":
                raise

    def _name_of(self, owner_id: str) -> str:
        return f"{owner_id}{self._ending}"

    def _arn_of_access_point(self, access_point: str) -> str:
        return (
            f"arn:{self._partition}:elasticfilesystem:{self._config.region}:{self._account}:access-point/{access_point}"
        )

    def _trust(self) -> dict[str, Any]:
        """Return who may assume a role: ECS, for tasks of this account."""
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "ecs-tasks.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": self._account}},
        }
        return {"Version": "2012-10-17", "Statement": [statement]}


def _made_at(role: dict[str, Any]) -> datetime:
    made_at: datetime = role["CreateDate"]
    return made_at

"""Access points of EFS: one for each owner, which limits their servers to their own folder."""

from collections.abc import Callable, Collection
from datetime import datetime

from botocore.exceptions import ClientError

from hubless.adapters.aws import Clients
from hubless.adapters.ecs import error_translation
from hubless.adapters.ecs.config import EcsConfig, HomeFileSystem
from hubless.adapters.ecs.naming import digest
from hubless.adapters.ecs.unowned_resources import UnownedResources
from hubless.ports.clock import Clock

HUB_TAG, OWNER_TAG = "hubless:hub", "hubless:owner"
PER_PAGE = 1000  # EFS allows 10,000 access points in a file system
_USABLE = frozenset({"available", "creating"})


class AccessPoints:
    """Creates an access point at the first launch of an owner, and finds it at later ones.

    A file system holds 10,000 of them, so those of owners who are gone are removed. The files stay in their folders.
    """

    def __init__(self, config: EcsConfig, homes: HomeFileSystem, clients: Clients, clock: Clock) -> None:
        self._config, self._homes, self._clients = config, homes, clients
        self._known: dict[str, str] = {}
        self._unowned = UnownedResources(clock, self._owners, self._remove)

    def of(self, owner_id: str) -> str:
        """Return the id of the owner's access point. A user created again has another id, and no old files."""
        if owner_id not in self._known:
            self._known[owner_id] = self._made(owner_id)
        return self._known[owner_id]

    def all(self) -> dict[str, str]:
        """Return the id of the access point of each owner who has one, by the owner's id."""
        pages = self._clients.efs.get_paginator("describe_access_points").paginate(
            FileSystemId=self._homes.file_system, PaginationConfig={"PageSize": PER_PAGE}
        )
        for point in (point for page in pages for point in page["AccessPoints"]):
            tags = {tag["Key"]: tag["Value"] for tag in point.get("Tags") or ()}
            is_theirs = tags.get(HUB_TAG) == self._config.hub and point.get("LifeCycleState") in _USABLE
            if is_theirs and (owner_id := tags.get(OWNER_TAG)):
                self._known[owner_id] = str(point["AccessPointId"])
        return dict(self._known)

    def remove_unowned(self, existing: Callable[[Collection[str]], Collection[str]]) -> int:
        """Remove a few access points of owners who are not among the *existing* ones, and return how many."""
        return self._unowned.remove_some(existing)

    def _owners(self, now: datetime) -> list[str]:  # noqa: ARG002 a user exists before the access point
        return list(self.all())

    def _remove(self, owner_id: str) -> None:
        if owner_id not in self._known:
            return  # removed in a call that failed at a later one
        try:
            self._clients.efs.delete_access_point(AccessPointId=self._known[owner_id])
        except ClientError as error:
            if error_translation.code_of(error) != "AccessPointNotFound":
                raise
        del self._known[owner_id]

    def _made(self, owner_id: str) -> str:
        owner = {"Uid": self._homes.uid, "Gid": self._homes.gid}
        made_for = {"OwnerUid": self._homes.uid, "OwnerGid": self._homes.gid, "Permissions": "0700"}
        try:
            made = self._clients.efs.create_access_point(
                ClientToken=digest("home", self._config.hub, self._homes.file_system, owner_id),
                FileSystemId=self._homes.file_system,
                PosixUser=owner,
                RootDirectory={"Path": f"{self._homes.folder}/{owner_id}", "CreationInfo": made_for},
                Tags=[{"Key": HUB_TAG, "Value": self._config.hub}, {"Key": OWNER_TAG, "Value": owner_id}],
            )
        except ClientError as error:
            if error_translation.code_of(error) != "AccessPointAlreadyExists":
                raise
            return str(error.response["AccessPointId"])
        return str(made["AccessPointId"])

"""Configuration of the ECS launcher: the resources that the deployment created for this hub."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from hubless.domain import names
from hubless.domain.errors import InvalidRequestError
from hubless.domain.values import value

GIB = 1024**3
MAX_STOP_SECONDS = 120  # Fargate's own limit


class Capacity(StrEnum):
    """The capacity that servers run on."""

    FARGATE = "fargate"
    SPOT = "spot"  # cheaper; AWS may reclaim it with two minutes' notice
    SPOT_OR_FARGATE = "spot-or-fargate"  # on demand while Spot has no capacity


@value
class HomeFileSystem:
    """The EFS file system of the users' files, with an access point and a folder for each owner id.

    With a *role_boundary*, each owner has a role as well, with which tasks mount that access point and no other.
    """

    file_system: str
    folder: str = "/homes"
    mounted_at: str = "/home/jovyan"
    uid: int = 1000  # jovyan and users in Jupyter's own images
    gid: int = 100
    role_boundary: str = ""  # ARN: the permissions boundary of owners' roles; empty: tasks have the shared role


@value
class EcsConfig:
    """Where and how servers run. *hub* separates this hub's resources from others' in the account."""

    hub: str
    region: str
    cluster: str
    image: str  # for profiles without one
    bucket: str  # holds the environment file of each launch while it runs; not versioned
    execution_role: str  # of ECS: reads from *bucket*, pulls the image and writes the log
    task_role: str  # of the server, and so of its user: without rights
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    log_group: str  # empty: what servers write is not kept
    public_addresses: bool = False  # for public subnets, which have no NAT to pull the image through
    capacity: Capacity = Capacity.FARGATE
    platform_version: str = "1.4.0"
    architecture: str = "X86_64"
    cpus: float = 0.5  # for profiles without one
    memory_bytes: int = 2 * GIB  # for profiles without a limit
    port: int = 8888
    stop_seconds: int = 30  # between SIGTERM and SIGKILL
    key: str = ""  # KMS key of the environment files; empty: the bucket's own
    homes: HomeFileSystem | None = None
    image_caches: Mapping[str, str] = field(default_factory=dict)  # addresses by the registries that they cache
    has_own_image: bool = False  # *image* is images/singleuser, which has no entrypoint

    def __post_init__(self) -> None:
        if not names.is_hub_name(self.hub):
            raise InvalidRequestError(
                f"The name of the hub is {self.hub!r}: it must have 1 to 32 of a-z, 0-9 and single hyphens,"
                " and start with a letter"
            )
        if not self.subnets:
            raise InvalidRequestError("Servers need at least one subnet: set HUBLESS_SUBNETS")
        if not 0 < self.stop_seconds <= MAX_STOP_SECONDS:
            raise InvalidRequestError(f"The stop time of servers must be 1 to {MAX_STOP_SECONDS} seconds on Fargate")

    def pulled_image(self, image: str) -> str:
        """Return the address by which ECS pulls *image*: in the cache of its registry, if there is one."""
        registry, _, rest = image.partition("/")
        return f"{self.image_caches[registry]}/{rest}" if registry in self.image_caches else image

    @property
    def started_by(self) -> str:
        """Return the `startedBy` value of all tasks of this hub, and of no others."""
        return f"hubless/{self.hub}"

"""What the infrastructure made for this hub, by name: all that the launcher must be told."""

from enum import StrEnum

from hubless.domain import names
from hubless.domain.errors import InvalidRequestError
from hubless.domain.values import value

GIB = 1024**3
MAX_STOP_SECONDS = 120  # Fargate's own limit


class Capacity(StrEnum):
    """On what servers run."""

    FARGATE = "fargate"
    SPOT = "spot"  # cheaper; may be taken back with two minutes' notice
    SPOT_OR_FARGATE = "spot-or-fargate"  # on demand where Spot has no place at the moment


@value
class HomeFileSystem:
    """The EFS file system that holds the users' files: for each owner an access point and a folder of that id."""

    file_system: str
    folder: str = "/homes"
    mounted_at: str = "/home/jovyan"
    uid: int = 1000  # jovyan and users in Jupyter's own images
    gid: int = 100


@value
class EcsConfig:
    """Where and how servers run. *hub* tells this hub's things from another's in the same account and region."""

    hub: str
    region: str
    cluster: str
    image: str  # of profiles that name none
    bucket: str  # where each launch's environment lies for as long as it runs; not versioned
    execution_role: str  # of ECS: may read from *bucket*, pull the image and write the log
    task_role: str  # of the server and so of its user: may do nothing
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    log_group: str
    public_addresses: bool = False  # in public subnets, where no NAT leads to the image
    capacity: Capacity = Capacity.FARGATE
    platform_version: str = "1.4.0"
    architecture: str = "X86_64"
    cpus: float = 0.5  # of profiles that name none
    memory_bytes: int = 2 * GIB  # likewise
    port: int = 8888
    stop_seconds: int = 30  # from being asked to end to being killed
    key: str = ""  # KMS key of the launches' environments; empty for the bucket's own
    homes: HomeFileSystem | None = None

    def __post_init__(self) -> None:
        if not names.is_hub_name(self.hub):
            raise InvalidRequestError(
                f"The hub is called {self.hub!r}: it must be 1 to 32 of a-z, 0-9 and single hyphens and start with a letter"
            )
        if not self.subnets:
            raise InvalidRequestError("Servers need at least one subnet to run in")
        if not 0 < self.stop_seconds <= MAX_STOP_SECONDS:
            raise InvalidRequestError(f"Fargate waits 1 to {MAX_STOP_SECONDS} seconds for a server to end")

    @property
    def started_by(self) -> str:
        """Return the mark that all tasks of this hub carry and no others."""
        return f"hubless/{self.hub}"

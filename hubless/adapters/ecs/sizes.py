"""Task sizes that Fargate offers."""

from itertools import chain

from hubless.domain.errors import LaunchFailedError
from hubless.domain.values import value

MIB = 1024**2
UNITS = 1024  # of a processor
# On demand, a processor costs as much as nine GiB of memory.
_GIBS_A_CPU = 9


@value
class Size:
    """A valid combination: *cpu* in 1/1024 of a processor, *memory* in MiB."""

    cpu: int
    memory: int

    @property
    def price(self) -> float:
        """Return the relative price, in GiB of memory."""
        return self.cpu / UNITS * _GIBS_A_CPU + self.memory / 1024


def _sizes(cpu: int, first: int, last: int, step: int) -> list[Size]:
    return [Size(cpu, gib * 1024) for gib in range(first, last + 1, step)]


SIZES = tuple(
    chain(
        [Size(256, 512), Size(256, 1024), Size(256, 2048)],
        _sizes(512, 1, 4, 1),
        _sizes(1024, 2, 8, 1),
        _sizes(2048, 4, 16, 1),
        _sizes(4096, 8, 30, 1),
        _sizes(8192, 16, 60, 4),
        _sizes(16384, 32, 120, 8),
    )
)


def size_for(*, cpus: float, memory_bytes: int, profile: str) -> Size:
    """Return the cheapest size with at least *cpus* and *memory_bytes*.

    Raises:
        LaunchFailedError: if Fargate has none.
    """
    cpu, memory = cpus * UNITS, memory_bytes / MIB
    fitting = [size for size in SIZES if size.cpu >= cpu and size.memory >= memory]
    if not fitting:
        most = SIZES[-1]
        raise LaunchFailedError(
            f"Profile {profile} asks for {cpus:g} processors and {memory / 1024:g} GiB of memory."
            f" Fargate offers at most {most.cpu // UNITS} processors and {most.memory // 1024} GiB: ask for less."
        )
    return min(fitting, key=lambda size: (size.price, size.cpu))

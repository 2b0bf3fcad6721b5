"""What of a launch is metered: its size and price, and the groups of its owner, as they were when it was requested."""

from typing import Final

from hubless.domain.values import value

MICROS: Final = 1_000_000  # of a unit of the currency
MOST_GROUPS: Final = 64  # of one launch that are metered: each is a row more in every write of usage


@value
class Metering:
    """What one launch uses as long as it runs.

    Args:
        cpu_millis: thousandths of a CPU.
        memory_mib: MiB of memory.
        gpus: a number of GPUs.
        price_micros: millionths of the currency for an hour.
        currency: what stands before amounts, such as `$`.
        groups: names of its owner's groups, sorted, at most `MOST_GROUPS`.
    """

    cpu_millis: int = 0
    memory_mib: int = 0
    gpus: int = 0
    price_micros: int = 0
    currency: str = ""
    groups: tuple[str, ...] = ()


NOTHING: Final = Metering()  # of a launch whose size nobody noted

"""How much memory and processor time a server uses now."""

from collections.abc import Iterable
from datetime import datetime

from hubless.domain.values import value


@value
class Load:
    """What the processes of one launch, or of several together, used at one moment.

    Args:
        memory: bytes, without pages of files that nobody used lately.
        cpus: processors in use, on average since the measurement before; None at the first one.
        measured_at: when this was measured.
        memory_limit: bytes that the launch may use; None for no limit, and for several launches.
    """

    memory: int
    cpus: float | None
    measured_at: datetime
    memory_limit: int | None = None


def together(loads: Iterable[Load]) -> Load | None:
    """Return what several launches use, as old as the oldest of them; None for none."""
    known = list(loads)
    if not known:
        return None
    cpus = [one.cpus for one in known if one.cpus is not None]
    return Load(sum(one.memory for one in known), sum(cpus) if cpus else None, min(one.measured_at for one in known))

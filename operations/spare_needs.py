"""What the spares of a stage's profiles need: how many wait at once, and what they use in a month."""

from collections.abc import Iterable
from decimal import Decimal

from hubless.adapters.ecs.sizes import UNITS, size_for
from hubless.domain.errors import LaunchFailedError
from hubless.domain.profiles import Profile, by_default
from hubless.domain.spares import Warmth
from hubless.domain.values import value
from hubless.settings.stage import StageSettings
from operations.cost.amounts import HOURS
from operations.errors import OperationsError

_HOURS_OF_A_WEEK = Decimal(168)
_MIB_OF_A_GB = 1024


@value
class SpareNeeds:
    """*count* and *vcpus* are those at once; the others are hours of a month: of tasks, of their vCPUs and GB."""

    count: int = 0
    vcpus: Decimal = Decimal(0)
    hours: Decimal = Decimal(0)
    vcpu_hours: Decimal = Decimal(0)
    gb_hours: Decimal = Decimal(0)


def needs_of(profiles: Iterable[Profile], stage: StageSettings) -> SpareNeeds:
    """Return what the spares of *profiles* need in that stage.

    Raises:
        OperationsError: if Fargate has no size for a profile.
    """
    found = SpareNeeds()
    for profile in map(by_default, profiles):
        if profile.warmth.count:
            try:
                size = size_for(
                    cpus=profile.cpus or stage.cpus,
                    memory_bytes=profile.memory_bytes or stage.memory,
                    profile=profile.name,
                )
            except LaunchFailedError as error:
                raise OperationsError(str(error)) from None
            hours, count = hours_of_a_month(profile.warmth), profile.warmth.count
            vcpus, gb = Decimal(size.cpu) / UNITS, Decimal(size.memory) / _MIB_OF_A_GB
            found = SpareNeeds(
                found.count + count,
                found.vcpus + vcpus * count,
                found.hours + hours * count,
                found.vcpu_hours + vcpus * hours * count,
                found.gb_hours + gb * hours * count,
            )
    return found


def hours_of_a_month(warmth: Warmth) -> Decimal:
    """Return for how many hours of a month one spare waits, if nobody claims it."""
    if (hours := warmth.hours) is None:
        return HOURS
    minutes = (hours.ends.hour - hours.begins.hour) * 60 + hours.ends.minute - hours.begins.minute
    return Decimal(minutes * len(hours.days)) / 60 * HOURS / _HOURS_OF_A_WEEK

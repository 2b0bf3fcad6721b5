"""What launches cost: their profile's own price, or the tariff for CPUs, memory and GPUs."""

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from hubless.domain.metering import MICROS, MOST_GROUPS, Metering
from hubless.domain.profiles import Profile
from hubless.domain.users import User
from hubless.domain.values import value

_MIB: Final = 1024**2


@value
class Tariff:
    """What an hour of each thing costs, for profiles that have no price of their own; in millionths of the currency."""

    cpu_micros: int = 0
    gib_micros: int = 0
    gpu_micros: int = 0
    currency: str = ""


def own_size(profile: Profile) -> tuple[float, int]:
    """Return the CPUs and the bytes of memory that *profile* names; 0 for what it does not name."""
    return profile.cpus or 0.0, profile.memory_bytes or 0


@value
class Meter:
    """Says what of a launch is metered; *size_of* returns the CPUs and the bytes that a profile's servers get."""

    tariff: Tariff = Tariff()
    size_of: Callable[[Profile], tuple[float, int]] = own_size

    def of(self, profile: Profile, owner: User) -> Metering:
        """Return what is metered of a launch of *profile*, with all that *owner* chose."""
        cpus, memory = self.size_of(profile)
        cpu_millis, memory_mib = round(cpus * 1000), memory // _MIB
        return Metering(
            cpu_millis,
            memory_mib,
            profile.gpus,
            self._price(profile, cpu_millis, memory_mib),
            self.tariff.currency,
            owner.groups[:MOST_GROUPS],
        )

    def _price(self, profile: Profile, cpu_millis: int, memory_mib: int) -> int:
        if profile.price_per_hour is not None:
            return micros(Decimal(str(profile.price_per_hour)))
        return (
            self.tariff.cpu_micros * cpu_millis // 1000
            + self.tariff.gib_micros * memory_mib // 1024
            + self.tariff.gpu_micros * profile.gpus
        )


def micros(amount: Decimal) -> int:
    """Return *amount* of the currency in millionths of it, rounded half to even."""
    return int((amount * MICROS).quantize(Decimal(1), ROUND_HALF_EVEN))

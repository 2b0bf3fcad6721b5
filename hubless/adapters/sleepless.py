"""An edge that never sleeps: on one machine, in a fleet, or a load balancer."""


class Sleepless:
    """Is up."""

    sleeps = False

    def start(self) -> bool:
        return False

    def stop(self) -> bool:
        return False

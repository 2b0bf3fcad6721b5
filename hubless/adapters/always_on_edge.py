"""An edge that never sleeps: on one machine, in a fleet, or a load balancer."""


class AlwaysOnEdge:
    """Is up."""

    can_stop = False

    def start(self) -> bool:
        return False

    def stop(self) -> bool:
        return False

"""An edge that never stops: on one machine, in a fleet, or a load balancer."""


class AlwaysOnEdge:
    """Is always up."""

    can_stop = False

    def start(self) -> bool:
        return False

    def stop(self) -> bool:
        return False

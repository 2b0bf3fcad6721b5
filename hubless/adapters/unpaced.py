"""No pace: where launches have no limit in common."""


class Unpaced:
    """Gives everybody the next turn at once."""

    def wait(self) -> None:
        return

"""Spares: their records, and the launcher that starts them (ADR 70)."""

from typing import Protocol

from hubless.domain.lifecycle import Server
from hubless.domain.profiles import Profile
from hubless.domain.spares import Spare, SpareClaim
from hubless.domain.values import value
from hubless.ports.launcher import Launch


@value
class SpareOrder:
    """What a launcher needs to start a spare: at *url* the task asks for its launch, with its own *secret*."""

    spare_id: str
    profile: Profile
    url: str
    secret: str

    def __repr__(self) -> str:
        return f"SpareOrder({self.spare_id!r}, {self.profile.name!r})"


class SpareStore(Protocol):
    """Stores spares until they are claimed, and then their claims. Each write names the revision that it expects."""

    def all(self) -> list[Spare]:
        """Return all spares that no launch has claimed, oldest first."""
        ...

    def find(self, spare_id: str) -> Spare | None:
        """Return the spare; None if there is none, or none any more because a launch has claimed it."""
        ...

    def claim_of(self, spare_id: str) -> SpareClaim | None:
        """Return the claim of a spare, or None. Ask `find` first: a spare is claimed once, and never free again."""
        ...

    def add(self, spare: Spare) -> bool:
        """Add *spare*; say False if there is one of its id."""
        ...

    def replace(self, before: Spare, after: Spare) -> bool:
        """Replace *before* by *after*; say False if it has changed, or is gone."""
        ...

    def remove(self, spare: Spare) -> bool:
        """Remove *spare*; say False if it has changed, or is gone."""
        ...

    def claim(self, spare: Spare, claim: SpareClaim, *, server: Server, launched: Server) -> bool:
        """Replace *spare* by its *claim*, and *server* by *launched*: both or neither.

        So a launch has one spare at most, and a spare one launch. Returns False if the spare has changed, or is gone.

        Raises:
            StoreConflictError: when the server has changed; the spare stays as it is.
        """
        ...

    def remove_claim(self, spare_id: str) -> None:
        """Remove the claim of a spare, if there is one: its launch is over."""
        ...


class SpareLauncher(Protocol):
    """Starts the tasks of spares. A `Launcher` describes, stops, lists and forgets them, by their id as launch id."""

    def kind_of_spare(self, profile: Profile) -> str:
        """Return a digest of all that a spare of *profile* is started with: another kind fits no launch of it.

        Raises:
            LaunchFailedError: when no launch of the profile can succeed.
        """
        ...

    def start_spare(self, order: SpareOrder) -> str:
        """Start a task that asks for its launch, and return its name. Idempotent, by the spare's id.

        Raises:
            LaunchFailedError: when a retry does not help.
            CapacityUnavailableError: when a later retry may succeed.
        """
        ...

    def environment(self, launch: Launch) -> dict[str, str]:
        """Return the variables, secrets too, with which a spare becomes the server of *launch*."""
        ...

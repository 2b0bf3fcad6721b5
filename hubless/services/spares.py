"""Spares as launches see them: which one fits, the claim, the events of its task, and what its task asks for.

A claim is one write with the step of the launch to `launching`. So a message that comes twice, or a function that
crashes, never takes a second spare for a launch, nor gives one spare to two (ADR 70).
"""

import hashlib
import hmac
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from hubless.domain import ids, spares, tokens
from hubless.domain.errors import NotFoundError
from hubless.domain.lifecycle import PENDING_START, Server
from hubless.domain.profiles import Profile
from hubless.domain.spares import Spare
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.launcher import Launch, TaskEvent, TaskStopped
from hubless.ports.servers import ServerStore
from hubless.ports.spares import SpareLauncher, SpareOrder, SpareStore

logger = logging.getLogger(__name__)

PREFIX = "w"  # of the ids of spares
TRIES = 5  # of a write of a record that others write too: its task's first question, and the start's end


@value
class Spares:
    """Gives spares to launches."""

    store: SpareStore
    launcher: SpareLauncher
    clock: Clock
    key: Callable[[], bytes]  # read only when it is needed, because in the cloud that is a request to SSM
    api_url: str  # the address of the API for servers

    def kind_of(self, profile: Profile) -> str:
        """Return the kind of spares that fit launches of *profile*.

        Raises:
            LaunchFailedError: when no launch of the profile can succeed.
        """
        return hashlib.sha256(f"{self.launcher.kind_of_spare(profile)} {self.api_url}".encode()).hexdigest()[:32]

    def order_of(self, spare: Spare, profile: Profile) -> SpareOrder:
        """Return what the launcher needs to start the task of *spare*."""
        url = f"{self.api_url}/spares/{spare.id}/launch"
        return SpareOrder(spare.id, profile, url, tokens.spare_secret(self.key(), spare.id))

    def fitting(self, launch_id: str, profile: Profile) -> list[Spare]:
        """Return the spares that a launch of *profile* can claim, in the order in which it tries."""
        if not profile.warmth.count:
            return []
        return spares.fitting(self.store.all(), self.kind_of(profile), launch_id)

    def claim(self, spare: Spare, server: Server, launched: Server) -> bool:
        """Give *spare* to the present launch of *server*, which *launched* is then; say False if it is taken.

        Raises:
            StoreConflictError: when the server has changed; nothing was written then.
        """
        return self.store.claim(spare, spares.claimed(spare, launched), server=server, launched=launched)

    def forget(self, server: Server) -> None:
        """Forget of which spare the task of *server* was, whose launch is over; its end does so before it is written.

        So a claim stays as long as its launch, and no sweep has to look for those that are left.
        """
        if server.spare_id:
            self.store.remove_claim(server.spare_id)

    def give_up(self, spare: Spare, failure: str = "") -> bool:
        """Give a free *spare* up, so that no launch gets it; say False if it has changed meanwhile."""
        done = self.store.replace(spare, spares.ended(spare, self.clock.now(), failure))
        if done and failure:
            logger.warning("spare %s of profile %s failed: it %s", spare.id, spare.profile, failure)
        return done

    def launch_event(self, event: TaskEvent) -> TaskEvent | None:
        """Return *event* as one of the launch that has claimed the task; None if none has.

        Only tasks of spares have no server's id. A free one that has ended is given up at once.
        """
        if event.server_id:
            return event
        spare = self.store.find(event.launch_id)
        if spare is not None:
            if spare.is_free and isinstance(event.status, TaskStopped):
                self.give_up(spare, event.status.why)
            return None
        claim = self.store.claim_of(event.launch_id)
        return None if claim is None else replace(event, server_id=claim.server_id, launch_id=claim.launch_id)

    def note(self, spare_id: str, change: Callable[[Spare], Spare | None]) -> Spare | None:
        """Change the record of a spare; return it as it is then, or None if it is claimed or gone.

        *change* returns None where there is nothing to write.
        """
        for _ in range(TRIES):
            spare = self.store.find(spare_id)
            if spare is None or (after := change(spare)) is None:
                return spare
            if self.store.replace(spare, after):
                return after
        return self.store.find(spare_id)


@value
class SpareQuestions:
    """Answers the tasks of spares, which ask for their launch."""

    spares: Spares
    servers: ServerStore
    launch_of: Callable[[Server], Launch]
    """Returns all that a server's present launch needs.

    Raises:
        StoreConflictError: when the server starts no more.
    """

    def is_secret_of(self, spare_id: str, secret: str) -> bool:
        """Say whether *secret* is that of the spare; read no store, so that others cost nothing."""
        if not ids.is_identifier(spare_id, PREFIX):
            return False
        own = tokens.spare_secret(self.spares.key(), spare_id)
        return hmac.compare_digest(own.encode(), secret.encode("utf-8", "surrogatepass"))

    def answer(self, spare_id: str) -> Mapping[str, str] | None:
        """Return the variables with which the spare becomes its launch's server; None if it has no launch yet.

        Raises:
            NotFoundError: when there will be none: the hub has given the spare up, or its launch is over.
            StoreConflictError: when the launch has just ended.
        """
        spare = self.spares.note(spare_id, self._first_question)
        if spare is not None:
            if spare.is_free:
                return None
            raise NotFoundError("Spare", spare_id)
        claim = self.spares.store.claim_of(spare_id)
        server = None if claim is None else self.servers.get(claim.server_id)
        if claim is None or server is None or server.launch_id != claim.launch_id or server.state not in PENDING_START:
            raise NotFoundError("Spare", spare_id)
        return self.spares.launcher.environment(self.launch_of(server))

    def _first_question(self, spare: Spare) -> Spare | None:
        is_news = spare.is_free and spare.waits_since is None
        return spares.waiting(spare, self.spares.clock.now()) if is_news else None

"""Adopting: gives a stray back to its owner by the operator's word.

It is one conditional write: a start is requested, whose launch id is the stray's. The launcher starts no launch twice,
so what follows is the ordinary way to `ready`: token and OAuth client, address, route. A crash after the write loses
nothing, and a second word changes nothing.
"""

import logging
from collections.abc import Callable, Mapping

from hubless.domain import lifecycle, tokens
from hubless.domain.errors import (
    CannotAdoptError,
    InvalidRequestError,
    NameTakenError,
    NotFoundError,
    QuotaExceededError,
    StoreConflictError,
)
from hubless.domain.lifecycle import ACTIVE, WAITING_TO_LAUNCH, Deadlines, Server
from hubless.domain.messages import Message, MessageKind
from hubless.domain.profiles import PROFILE, Profile, choose
from hubless.domain.strays import Stray
from hubless.domain.tariffs import Meter
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.queue import Queue
from hubless.ports.servers import ServerStore
from hubless.ports.users import UserStore
from hubless.services.budgets import Budgets

logger = logging.getLogger(__name__)


@value
class Adopting:
    """Gives strays back to their owners."""

    servers: ServerStore
    users: UserStore
    queue: Queue
    clock: Clock
    profiles: Mapping[str, Profile]
    deadlines: Deadlines
    meter: Meter
    budgets: Budgets
    key: Callable[[], bytes]

    def adopt(self, stray: Stray) -> Server:
        """Request that *stray* becomes its owner's server again, and return the record. Idempotent.

        Maintenance and limits of servers do not count: it runs already.

        Raises:
            CannotAdoptError: when it cannot be adopted; the message completes «Cannot adopt …: ».
        """
        owner = self._owner_of(stray)
        self._require_our_token(stray)
        server = self._record_of(stray, owner)
        if server.launch_id != stray.launch_id or server.state not in ACTIVE:
            server = self._request(stray, owner, server)
        if server.state in WAITING_TO_LAUNCH:  # also where an earlier word was interrupted here
            self.queue.send(Message(MessageKind.LAUNCH, server.id, stray.launch_id))
        return server

    def _owner_of(self, stray: Stray) -> User:
        if not stray.user_id or not stray.server_id:
            raise CannotAdoptError("an older hubless started it and did not note whose it is")
        owner = self.users.get(stray.user_id)
        if owner is None:
            other = "another one has that name now" if self.users.find(stray.user) else "the database has no such user"
            raise CannotAdoptError(f"it belongs to a user {stray.user}, and {other}")
        if owner.name != stray.user:
            raise CannotAdoptError(
                f"its owner is called {owner.name} in the database. Rename {owner.name} to {stray.user} first"
            )
        return owner

    def _require_our_token(self, stray: Stray) -> None:
        """Raise CannotAdoptError unless the stray's token is the one that the hub's key yields for its launch."""
        token = tokens.launch_secret(self.key(), stray.launch_id)
        if stray.token_sha256 not in {"", tokens.sha256(token)}:
            raise CannotAdoptError("the hub has another secret than when it was started, so its token is unknown")

    def _record_of(self, stray: Stray, owner: User) -> Server:
        """Return the record that the stray had, or a new one with its id: the server knows its OAuth client by it."""
        found = self.servers.find(owner.id, stray.server)
        if found is None:
            self._require_no_other_name(stray, owner)
            return self._create(stray, owner)
        if found.id != stray.server_id:
            raise CannotAdoptError(f"{owner.name} has made another server of that name since")
        if found.state in ACTIVE and found.launch_id != stray.launch_id:
            raise CannotAdoptError(
                f"{owner.name} has another server of that name that is {found.state}. Stop it first, or start the hub"
                " if it does not run: it finds out which servers have ended"
            )
        return found

    def _require_no_other_name(self, stray: Stray, owner: User) -> None:
        known = self.servers.get(stray.server_id)
        if known is None:
            return
        if known.owner_id != owner.id:
            raise CannotAdoptError("its server belongs to somebody else in the database")
        raise CannotAdoptError(f"the server is called {owner.name}/{known.name} in the database. Rename it first")

    def _create(self, stray: Stray, owner: User) -> Server:
        now = self.clock.now()
        server = Server(
            id=stray.server_id,
            owner_id=owner.id,
            name=stray.server,
            created_at=now,
            entered_at=now,
            display_name=stray.server,
            profile=stray.profile,
        )
        try:
            self.servers.create(server)
        except (NameTakenError, NotFoundError) as taken:
            raise CannotAdoptError(f"its owner has just changed, or has another server now: {taken}") from taken
        return server

    def _request(self, stray: Stray, owner: User, server: Server) -> Server:
        asked = lifecycle.adopted(
            server,
            launch_id=stray.launch_id,
            profile=stray.profile,
            now=self.clock.now(),
            deadlines=self.deadlines,
            metering=self.meter.of(self._profile_of(stray, server, owner), owner),
        )
        try:
            asked = self.budgets.start(owner, server, asked, active_limit=0)
        except StoreConflictError as faster:
            raise CannotAdoptError(f"{owner.name} has just started another server of that name") from faster
        except QuotaExceededError as reached:
            raise CannotAdoptError(str(reached)) from reached
        logger.info("server %s of %s: adopted", asked.id, owner.name, extra=lifecycle.log_fields(asked))
        return asked

    def _profile_of(self, stray: Stray, server: Server, owner: User) -> Profile:
        """Return the profile as the launch will choose it: what it would refuse then is refused now."""
        options = server.user_options if server.profile == stray.profile else {}
        try:
            return choose(self.profiles, {**options, PROFILE: stray.profile}, owner, was_asked=True).profile
        except InvalidRequestError as refused:
            raise CannotAdoptError(f"its profile {stray.profile} can no longer be chosen. {refused}") from refused

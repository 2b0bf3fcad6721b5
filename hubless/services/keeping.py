"""Keeping a server running: its owner says once, or as often as settings allow, that it is not to be culled as idle."""

import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta

from hubless.domain import idleness, lifecycle
from hubless.domain.errors import InvalidRequestError, NotFoundError, StoreConflictError
from hubless.domain.idle_policies import IdlePolicies
from hubless.domain.idleness import NextStop
from hubless.domain.lifecycle import Server, State
from hubless.domain.schedules import LessonStop, Schedule, kept_until, stopped_at
from hubless.domain.stop_reasons import StopCause
from hubless.domain.translatable import ngettext
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.servers import ServerStore

logger = logging.getLogger(__name__)
TRIES = 10


@value
class Keeping:
    """Tells when servers will be stopped by themselves, and puts that off.

    Args:
        extension: how much later an idle server is stopped; None if nobody may put it off.
        most: how often in one launch.
        report_interval: activity may be seen that much later.
        frozen_after: how long a server may be frozen; None for no limit.
        files_stop: when a server is stopped because of its owner's files.
    """

    servers: ServerStore
    clock: Clock
    idle_policies: IdlePolicies
    extension: timedelta | None
    most: int
    report_interval: timedelta
    files_stop: Callable[[User, Server], NextStop | None] = lambda _owner, _server: None
    frozen_after: timedelta | None = None

    def next_stop(
        self, owner: User, server: Server, schedules: Collection[Schedule] = ()
    ) -> NextStop | LessonStop | None:
        """Return when a ready *server* will be stopped if nobody uses it; None if it has no limit, or is not ready.

        A lesson of these *schedules* keeps an idle server, and may stop it at its end.
        """
        if server.state is not State.READY:
            return None
        policy, now = self.idle_policies.of(server.profile, owner.name), self.clock.now()
        following = idleness.next_stop(server, policy, report_interval=self.report_interval)
        found: list[NextStop | LessonStop] = [following] if following is not None else []
        if following is not None and following.reason.cause is StopCause.IDLE:
            kept = kept_until(schedules, owner.groups, max(following.at, now))
            if kept is not None:
                old = idleness.next_stop(server, replace(policy, idle_after=None))
                found = [kept] if old is None else [kept, old]
        frozen = idleness.frozen_stop(server, self.frozen_after)
        ended = None if server.name else stopped_at(schedules, owner.groups, server, now)
        others = [stop for stop in (frozen, ended, self.files_stop(owner, server)) if stop is not None]
        return min([*found, *others], key=lambda one: one.at, default=None)

    def is_offered(self, owner: User, server: Server) -> bool:
        """Say whether `keep` puts off the next stop of *server*."""
        if server.times_kept >= self.most or self._kept(owner, server) is None:
            return False
        return self.files_stop(owner, server) is None  # which nothing but fewer files puts off

    def keep(self, owner: User, server: Server) -> Server:
        """Put off the stop for idleness of a ready *server*, and return it as it is then.

        Raises:
            InvalidRequestError: when the server is not stopped for idleness, or was kept as often as allowed.
            NotFoundError: when somebody removes the server meanwhile.
            StoreConflictError: when it changes all the time.
        """
        current = server
        for _try in range(TRIES):
            after = self._kept(owner, current)
            if after is None:
                raise InvalidRequestError("This server is not going to be stopped for lack of activity.")
            if current.times_kept >= self.most:
                raise InvalidRequestError(
                    ngettext(
                        "This server was kept running once, which is all that this hub allows. Use it, or start it"
                        " again later.",
                        "This server was kept running %(count)s times, which is all that this hub allows. Use it, or"
                        " start it again later.",
                        self.most,
                    )
                )
            try:
                self.servers.write(current, after)
            except StoreConflictError:
                found = self.servers.get(server.id)
                if found is None:
                    raise NotFoundError("Server", f"{owner.name}/{server.name}") from None
                current = found
            else:
                logger.info(
                    "server %s: its owner keeps it running until %s",
                    server.id,
                    after.kept_until,
                    extra=lifecycle.log_fields(server),
                )
                return after
        raise StoreConflictError(f"Server {server.id} changes all the time")

    def _kept(self, owner: User, server: Server) -> Server | None:
        if self.extension is None:
            return None
        until = idleness.kept_until(
            server,
            self.idle_policies.of(server.profile, owner.name),
            self.extension,
            self.clock.now(),
            report_interval=self.report_interval,
        )
        return None if until is None else lifecycle.kept(server, until)

"""Usage for people: the totals of months and days, with an estimate of what runs now."""

from collections.abc import Iterable, Mapping

from hubless.domain.lifecycle import ACTIVE, Server, State
from hubless.domain.usage import Totals, TotalsOf, TotalsRow, days_of, month_of, rows_of, usage_of
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.servers import ServerStore
from hubless.ports.usage import UsageLog
from hubless.ports.users import UserStore

_RUNNING = ACTIVE - {State.STOPPING}  # the usage of a stopping server may be in the totals already


@value
class Line:
    """The totals of one subject.

    Args:
        subject: a profile's or group's name, or a user's id; empty for the hub.
        name: what people call it: a user's name; empty for a user who was removed, and for the hub.
        totals: the sums, with an estimate of what runs.
    """

    subject: str
    name: str
    totals: Totals


@value
class UsageReports:
    """Reads totals of usage. What it reads grows with days, subjects and running servers, and not with launches."""

    usage: UsageLog
    servers: ServerStore
    users: UserStore
    clock: Clock

    def this_month(self) -> str:
        """Return the present month, as `2026-11`."""
        return month_of(self.clock.now())

    def by_subject(self, of: TotalsOf, month: str) -> list[Line]:
        """Return the totals of *month* of each profile, group or user, or of the hub; the largest time first."""
        totals = {row.subject: row.totals for row in self.usage.of_month(of, month)}
        for row in self._running(self.servers.in_states(_RUNNING)) if self._is_now(month) else ():
            if row.of is of and row.period == month:
                totals[row.subject] = totals.get(row.subject, Totals()) + row.totals
        names = self._names(of, totals)
        lines = [Line(subject, names.get(subject, ""), sums) for subject, sums in totals.items()]
        return sorted(lines, key=lambda line: (-line.totals.seconds, line.name, line.subject))

    def of_users(self, servers: Mapping[str, Iterable[Server]]) -> dict[str, Totals]:
        """Return the totals of this month of some users, by id, with an estimate of what runs.

        Args:
            servers: all servers of each of the users, by the user's id.
        """
        month = self.this_month()
        found = {user_id: Totals() for user_id in servers} | self.usage.of_users(servers, month)
        running = [one for some in servers.values() for one in some if one.state in _RUNNING]
        for row in self._running(running):
            if row.of is TotalsOf.USER and row.period == month:
                found[row.subject] += row.totals
        return found

    def by_day(self, of: TotalsOf, subject: str, month: str) -> list[tuple[str, Totals]]:
        """Return each day of *month* with the totals of one subject."""
        totals = {row.period: row.totals for row in self.usage.of_days(of, subject, month)}
        for row in self._running(self._servers_of(of, subject)) if self._is_now(month) else ():
            if (row.of, row.subject) == (of, subject):
                totals[row.period] = totals.get(row.period, Totals()) + row.totals
        return [(day, totals.get(day, Totals())) for day in days_of(month)]

    def running(self) -> int:
        """Return how many servers run now."""
        return self.servers.count([State.READY])

    def _is_now(self, month: str) -> bool:
        return month == self.this_month()

    def _servers_of(self, of: TotalsOf, subject: str) -> list[Server]:
        if of is TotalsOf.USER:
            return [server for server in self.servers.of_owners([subject]) if server.state in _RUNNING]
        return self.servers.in_states(_RUNNING)

    def _running(self, servers: Iterable[Server]) -> Iterable[TotalsRow]:
        """Yield what servers that run have used until now."""
        now = self.clock.now()
        for server in servers:
            if (used := usage_of(server, now)) is not None:
                yield from rows_of(used)

    def _names(self, of: TotalsOf, subjects: Iterable[str]) -> dict[str, str]:
        if of is not TotalsOf.USER:
            return {subject: subject for subject in subjects}
        return {user_id: user.name for user_id, user in self.users.get_many(subjects).items()}

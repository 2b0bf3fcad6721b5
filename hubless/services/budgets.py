"""Budgets: refuses starts that would exceed one, and stops servers when one is used up."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from hubless.domain import budgets, lifecycle
from hubless.domain.audit import Act, Doer, DoerKind
from hubless.domain.budgets import MOST_BUDGETS, Alert, AlertRequest, Budget, Claim, Ledger, Resource, Standing
from hubless.domain.errors import (
    BudgetReachedError,
    InvalidRequestError,
    LedgerFullError,
    NotFoundError,
    StoreConflictError,
    StoreUnavailableError,
)
from hubless.domain.lifecycle import ACTIVE, Server, State
from hubless.domain.maintenance import StartCheck
from hubless.domain.messages import Message as QueueMessage
from hubless.domain.messages import MessageKind
from hubless.domain.stop_reasons import StopCause, StopReason
from hubless.domain.translatable import Message
from hubless.domain.translatable import gettext as _
from hubless.domain.usage import TotalsOf, month_of, summed
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.budgets import BudgetStore
from hubless.ports.clock import Clock
from hubless.ports.ledgers import LedgerStore
from hubless.ports.queue import Queue
from hubless.ports.servers import ServerStore
from hubless.ports.usage import UsageLog
from hubless.ports.users import UserStore
from hubless.services import settings_first
from hubless.services.auditing import Auditing
from hubless.services.stopping import Stopping

logger = logging.getLogger(__name__)

TRIES = 20  # of what loses to another change of the same ledger
_STOPPED = frozenset({State.STOPPING})


@value
class Budgets:
    """Keeps budgets: those of the settings, and those that admins set. Servers that start and end change ledgers."""

    fixed: tuple[Budget, ...]  # of the settings
    store: BudgetStore
    ledgers: LedgerStore
    servers: ServerStore
    users: UserStore
    usage: UsageLog
    clock: Clock
    notice: timedelta = timedelta(minutes=10)
    currency: str = ""
    auditing: Auditing | None = None
    queue: Queue | None = None  # None: the hub sends no mails
    mail_to: tuple[str, ...] = ()  # of admins: who gets mails about budgets of groups and of the hub

    def all(self) -> list[Budget]:
        """Return all budgets; those of the settings are stronger than others of the same name."""
        return settings_first.merged(self.fixed, self.store.all())

    def put(self, budget: Budget) -> None:
        """Set *budget*, in place of one of the same name. It counts from now on, for what runs too.

        Raises:
            InvalidRequestError: when its name is not allowed, the settings have it, it limits nothing, or there are too
                many.
        """
        budgets.check(budget)
        self._check_not_fixed(budget.name)
        known = self.store.all()
        if len(known) >= MOST_BUDGETS and budget.name not in {one.name for one in known}:
            raise InvalidRequestError(f"There are {MOST_BUDGETS} budgets already: remove one first")
        self.store.put(budget)
        logger.info("budget %s was set: %s", budget.name, budget)

    def remove(self, name: str) -> None:
        """Remove the budget of that name.

        Raises:
            InvalidRequestError: when the settings have it.
            NotFoundError: when there is none.
        """
        self._check_not_fixed(name)
        if not self.store.remove(name):
            raise NotFoundError("Budget", name)
        logger.info("budget %s was removed", name)

    def is_fixed(self, name: str) -> bool:
        """Say whether the settings have the budget of that name."""
        return settings_first.is_fixed(self.fixed, name)

    def overview(self, *, group: str | None = None, name: str | None = None) -> list[tuple[Budget, list[Standing]]]:
        """Return each budget (of *group*, called *name*), and how much of it is used if it is not each user's own."""
        now, keyed = self.clock.now(), list[tuple[Budget, str | None]]()
        for budget in self.all():
            if group not in {None, budget.group} or name not in {None, budget.name}:
                continue
            user = self.users.find(budget.user) if budget.user else None
            has_one = not budget.is_each and (user is not None or not budget.user)
            keyed.append(
                (budget, budget.ledger_of(user.id if user else "", budget.user, {budget.group}) if has_one else None)
            )
        found = self._current(dict.fromkeys(key for _budget, key in keyed if key is not None))
        return [(one, budgets.standings(one, found[key], now) if key is not None else []) for one, key in keyed]

    def claims(self, of_keys: Mapping[str, list[Budget]], owner: User, asked: Server) -> tuple[Claim, ...]:
        """Return the conditions under which *asked*, a server of *owner* that is to start, keeps to the budgets.

        *of_keys* are the budgets by the keys of their ledgers.

        Raises:
            BudgetReachedError: when one is used up, or has no room now.
        """
        now = self.clock.now()
        found = self._current(of_keys)
        for key, some in of_keys.items():
            refused = budgets.refusal(some, found[key], asked, now, self.notice)
            if refused is not None:
                raise self._refusal(refused, owner)
        return tuple(budgets.claim(some, found[key], now, self.notice) for key, some in of_keys.items())

    def start(
        self,
        owner: User,
        server: Server,
        asked: Server,
        *,
        active_limit: int,
        places_kept: int = 0,
        start: StartCheck | None = None,
    ) -> Server:
        """Write *asked*, the requested start of *server*, within the budgets; return it as it was written.

        Raises:
            BudgetReachedError: as `claims` does.
            QuotaExceededError, StoreConflictError, NameTakenError, MaintenanceError: as `ServerStore.write` does.
            StoreUnavailableError: when others were faster each time.
        """
        of_keys = budgets.keys_of(self.all(), owner, owner.groups)
        written = replace(asked, ledgers=tuple(of_keys))
        for _try in range(TRIES):
            claims = self.claims(of_keys, owner, written)
            try:
                self.servers.write(
                    server, written, active_limit=active_limit, places_kept=places_kept, claims=claims, start=start
                )
            except LedgerFullError:
                continue  # somebody else has started since the ledger was read
            return written
        raise StoreUnavailableError("Too many servers start at once under the same budget; try again.")

    def standings(self, owner: User) -> list[Standing]:
        """Return how much of each budget is used that *owner*'s servers have."""
        of_keys, now = budgets.keys_of(self.all(), owner, owner.groups), self.clock.now()
        found = self._current(of_keys)
        return [one for key, some in of_keys.items() for b in some for one in budgets.standings(b, found[key], now)]

    def standings_in(self, key: str, name: str) -> list[Standing]:
        """Return how much of the budget *name* the servers of the ledger *key* used; none if one of both is gone."""
        ledger, now = self.ledgers.get_many([key]).get(key), self.clock.now()
        some = [budget for budget in self.all() if budget.name == name]
        if ledger is None:
            return []
        return [one for budget in some for one in budgets.standings(budget, ledger.in_month_of(now), now)]

    def warnings(self, owner: User) -> list[Message]:
        """Return what *owner* should know: which budgets are used to four fifths or more."""
        return [one.sentence(self.currency) for one in self.standings(owner) if one.is_nearly_used]

    def sweep(self, stopping: Stopping) -> int:
        """Take running servers into new ledgers; stop those whose budget is used up, after a notice.

        Returns how many were stopped. Call it from time to time: a budget is exceeded by at most what its servers use
        between two calls.
        """
        if not (known := self.all()):
            return 0
        active = [server for server in self.servers.in_states(ACTIVE - _STOPPED) if server.launch_id]
        owners = self.users.get_many({server.owner_id for server in active})
        members: dict[str, list[Server]] = {}
        for server in active:
            for key in self._adopted(server, owners.get(server.owner_id), known).ledgers:
                members.setdefault(key, []).append(server)
        stopped = 0
        for key, ledger in self._current(members).items():
            some = _budgets_of(key, members[key], owners, known)
            stopped += self._enforce(self._alerted(ledger, some, known), some, members[key], stopping)
        return stopped

    def _adopted(self, server: Server, owner: User | None, known: Sequence[Budget]) -> Server:
        """Return *server* in all ledgers that it belongs to; budgets may be newer than its launch."""
        if owner is None:
            return server
        groups = server.metering.groups if server.metering else owner.groups
        missing = [key for key in budgets.keys_of(known, owner, groups) if key not in server.ledgers]
        if not missing:
            return server
        self._current(missing)
        adopted = replace(server, ledgers=(*server.ledgers, *missing), revision=server.revision + 1)
        try:
            self.servers.write(server, adopted)
        except StoreConflictError:
            return server  # the next sweep tries again
        return adopted

    def _enforce(self, ledger: Ledger, some: Sequence[Budget], servers: list[Server], stopping: Stopping) -> int:
        now, stopped = self.clock.now(), 0
        for budget in some:
            end = budgets.ends_at(budget, ledger, now)
            told = ledger.told.get(budget.name)
            if end is None or end > now + self.notice:
                if told is not None:  # there is more of it again
                    ledger = self._note(ledger, {name: at for name, at in ledger.told.items() if name != budget.name})
            elif told is None:
                ledger = self._tell(ledger, budget)
            elif end <= now and budgets.in_seconds(now) >= told + self.notice.total_seconds():
                stopped += self._stop(servers, budget, stopping)
        return stopped

    def _alerted(self, ledger: Ledger, some: Iterable[Budget], known: Sequence[Budget]) -> Ledger:
        """Have mails sent about those of *some* budgets that are nearly used up, or used up, since the last sweep.

        The ledger says first that they were sent. So each is sent at most once, and none after a crash between.
        """
        to = ("",) if ledger.key.startswith(f"{TotalsOf.USER}#") else self.mail_to
        if self.queue is None or not to:
            return ledger
        now = self.clock.now()
        for budget in some:
            reached = budgets.alerts_of(budgets.standings(budget, ledger, now))
            new = {alert for alert in reached if budgets.mark_of(alert, budget) not in ledger.told}
            if not new:
                continue
            before = ledger
            told = budgets.with_alerts(ledger.told, budget, reached, known, budgets.in_seconds(now))
            if (ledger := self._note(ledger, told)) is before:
                return ledger  # the next sweep tries again
            alert = Alert.USED_UP if Alert.USED_UP in new else Alert.NEARLY_USED
            logger.info("budget %s of %s: mails say that it is %s", budget.name, ledger.key, alert)
            for address in to:
                asked = AlertRequest(alert, budget.name, ledger.key, address)
                self.queue.send(QueueMessage(MessageKind.BUDGET_ALERT, text=asked.text))
        return ledger

    def _tell(self, ledger: Ledger, budget: Budget) -> Ledger:
        """Note that the notice of the *budget* begins now."""
        noted = self._note(ledger, {**ledger.told, budget.name: budgets.in_seconds(self.clock.now())})
        if noted is ledger:
            return ledger
        logger.warning(
            "budget %s is nearly used up: the hub stops %d servers of %s after %s",
            budget.name,
            ledger.servers,
            ledger.key,
            self.notice,
        )
        self._record(Act.BUDGET_NEARLY_USED, budget, ledger.servers)
        return noted

    def _record(self, act: Act, budget: Budget, servers: int) -> None:
        if self.auditing is not None:
            self.auditing.record(Doer(DoerKind.HUB), act, budget.name, about={"servers": str(servers)})

    def _note(self, ledger: Ledger, told: Mapping[str, int]) -> Ledger:
        after = replace(ledger, told=dict(told), changes=ledger.changes + 1)
        try:
            self.ledgers.replace(ledger, after)
        except StoreConflictError:
            return ledger  # the next sweep tries again
        return after

    def _stop(self, servers: Iterable[Server], budget: Budget, stopping: Stopping) -> int:
        stopped = 0
        for server in servers:
            logger.warning(
                "server %s: the sweep stops it because the budget %s is used up",
                server.id,
                budget.name,
                extra=lifecycle.log_fields(server),
            )
            reason = StopReason(StopCause.BUDGET, budget.name)
            current = self.servers.get(server.id)
            if current is not None and current.launch_id == server.launch_id:
                stopped += stopping.request_until_done(current, reason).state is State.STOPPING
        if stopped:
            self._record(Act.BUDGET_USED, budget, stopped)
        return stopped

    def _current(self, keys: Iterable[str]) -> dict[str, Ledger]:
        """Return the ledgers of these *keys* in the present month; make those that are missing.

        Raises:
            StoreUnavailableError: when one changes each time.
        """
        wanted = list(keys)
        for _try in range(TRIES):
            found = self.ledgers.get_many(wanted) if wanted else {}
            missing, now = [key for key in wanted if key not in found], self.clock.now()
            for key in missing:
                self.ledgers.create(self._first(key))
            old = [one for one in found.values() if one.in_month_of(now) != one]
            for ledger in old:
                try:
                    self.ledgers.replace(ledger, ledger.in_month_of(now))
                except StoreConflictError:
                    continue
            if not missing and not old:
                return found
        raise StoreUnavailableError("The ledgers of budgets change too often; try again.")

    def _first(self, key: str) -> Ledger:
        """Return the ledger of something new: it counts what ended launches have used since the month began."""
        of, _hash, subject = key.partition("#")
        now = self.clock.now()
        month = month_of(now)
        sums = summed(self.usage.of_days(TotalsOf(of), subject, month)).get(subject)
        if sums is None:
            return Ledger(key, month)
        return Ledger(key, month, seconds=sums.seconds, cost=sums.cost_micros * 3600)

    def _refusal(self, standing: Standing, owner: User) -> BudgetReachedError:
        used, limit = standing.in_words(self.currency)
        facts = {"owner": owner.name, "name": standing.budget.name, "used": used, "limit": limit}
        if standing.resource in {Resource.SERVERS, Resource.CPUS}:
            words = _(
                "The budget %(name)s allows %(limit)s at once. Stop a server, or wait until one has stopped.", **facts
            )
            return BudgetReachedError(words, limit=standing.limit, retry=True)
        if standing.budget.is_monthly:
            words = _(
                "The budget %(name)s of this month does not last for one server more: %(used)s of %(limit)s are used."
                " Ask an admin, or wait for the next month.",
                **facts,
            )
        else:
            words = _(
                "The budget %(name)s does not last for one server more: %(used)s of %(limit)s are used. Ask an admin.",
                **facts,
            )
        return BudgetReachedError(words, limit=standing.limit)

    def _check_not_fixed(self, name: str) -> None:
        refusal = _("The budget %(name)s is one of the settings: change it there", name=name)
        settings_first.require_not_fixed(self.fixed, name, refusal)


def _budgets_of(
    key: str, servers: Iterable[Server], owners: Mapping[str, User], known: Sequence[Budget]
) -> list[Budget]:
    """Return the budgets that have the ledger *key*, in which these *servers* are."""
    found: dict[str, Budget] = {}
    for server in servers:
        if (owner := owners.get(server.owner_id)) is not None:
            groups = server.metering.groups if server.metering else owner.groups
            found |= {one.name: one for one in budgets.keys_of(known, owner, groups).get(key, ())}
    return list(found.values())

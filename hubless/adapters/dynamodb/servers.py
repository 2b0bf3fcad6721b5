"""Servers in DynamoDB.

A server is in its owner's partition; a reader with only the id first reads the owner. The owner's account has the names
of the servers and the number of active ones, so its conditions enforce names, limits and removals of users. Each server
is listed under its state.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from hubless.adapters.dynamodb import bulletin, keys, ledgers, removals, server_activity, user_records
from hubless.adapters.dynamodb.active_servers import ActiveServers
from hubless.adapters.dynamodb.database import (
    ConditionFailedError,
    Database,
    Delete,
    Found,
    Put,
    Step,
    Update,
    chunks,
    size,
)
from hubless.adapters.dynamodb.keys import Key
from hubless.adapters.dynamodb.queue_positions import QueuePositions
from hubless.adapters.dynamodb.table import Account, Pointer, Seen, ServerItem
from hubless.domain.budgets import Claim
from hubless.domain.errors import (
    HublessError,
    NameTakenError,
    NotFoundError,
    QuotaExceededError,
    StoreConflictError,
)
from hubless.domain.lifecycle import ACTIVE, Server, State
from hubless.domain.maintenance import StartCheck
from hubless.domain.usage import Totals
from hubless.ports.servers import NONE

_FIELDS = (
    "id",
    "owner_id",
    "name",
    "created_at",
    "entered_at",
    "display_name",
    "profile",
    "launch_id",
    "task",
    "address",
    "requested_at",
    "started_at",
    "deadline_at",
    "jupyterhub_version",
    "spare_id",
    "failure",
    "log_tail",
    "stop_reason",
    "kept_until",
    "frozen_at",
    "metering",
    "revision",
)
# In the order of the lifecycle: a server that changes its state between two reads is seen twice, but never missed.
_IN_ORDER = (
    State.PREPARING,  # twice, because servers go from here to REQUESTED and back
    State.REQUESTED,
    State.PREPARING,
    State.LAUNCHING,
    State.STARTING,
    State.READY,
    State.STOPPING,
    State.STOPPED,
    State.FAILED,
)
_MADE_AT_ONCE = 20  # servers of a transaction, which has five steps for each
_DEFAULT = keys.map_key("")


class DynamoServerStore:
    """Stores servers."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._active = ActiveServers(database)
        self._queues = {
            State.REQUESTED: QueuePositions(database, _state(State.REQUESTED), keys.QUEUE_DIGEST),
            State.PREPARING: QueuePositions(database, _state(State.PREPARING), keys.PREPARATION_DIGEST),
        }

    def get(self, server_id: str) -> Server | None:
        owner = self._database.get(Pointer, keys.server_owner(server_id))
        return None if owner is None else self._read([(owner.owner or "", server_id)]).get(server_id)

    def find(self, owner_id: str, name: str) -> Server | None:
        return next((server for server in self._of_owner(owner_id) if server.name == name), None)

    def get_many(self, server_ids: Iterable[str]) -> dict[str, Server]:
        found = self._database.get_many(keys.server_owner(server_id) for server_id in server_ids)
        owners = [pointer for key in found if (pointer := found.item(Pointer, key)) is not None]
        return self._read([(pointer.owner or "", pointer.to or "") for pointer in owners])

    def of_owners(self, owner_ids: Iterable[str]) -> list[Server]:
        wanted = list(dict.fromkeys(owner_ids))
        if len(wanted) == 1:
            return self._of_owner(wanted[0])
        found = self._database.get_many(keys.account(owner_id) for owner_id in wanted)
        accounts = [account for key in found if (account := found.item(Account, key)) is not None and not account.gone]
        servers = self._read(
            [(account.id, server_id) for account in accounts for server_id in account.servers.values()]
        )
        return sorted(servers.values(), key=lambda server: server.id)

    def create(self, server: Server, *, named_limit: int = 0) -> None:
        self._database.retry(lambda: self._create(server, named_limit))

    def create_many(self, servers: Sequence[Server]) -> None:
        left = list(servers)
        while left:
            of_owner = {server.owner_id: server for server in reversed(left)}  # one write of an account at a time
            for part in chunks(list(of_owner.values()), _MADE_AT_ONCE):
                self._database.retry(partial(self._create_some, part))
            added = {server.id for server in of_owner.values()}
            left = [server for server in left if server.id not in added]

    def write(
        self,
        before: Server,
        after: Server,
        *,
        active_limit: int = 0,
        places_kept: int = 0,
        claims: Sequence[Claim] = (),
        used: Totals = NONE,
        start: StartCheck | None = None,
    ) -> None:
        moves = [*ledgers.steps_of_move(before, after, claims, used), *bulletin.steps_of_start(start)]
        self._database.retry(lambda: self._write(before, after, active_limit, places_kept, moves))

    def write_with(self, before: Server, after: Server, more: Sequence[Step]) -> None:
        """Replace *before* by *after*, as `write` does, in one transaction with *more* steps of another store."""
        self._database.retry(lambda: self._write(before, after, 0, 0, more))

    def recount_active(self, active_limit: int, now: datetime) -> None:
        if active_limit and self._active.is_due(active_limit, now):
            counted = self._active.counted(active_limit)  # before the servers: what changes meanwhile shows
            self._active.recount(self.in_states(ACTIVE), counted, active_limit, now)

    def delete(self, server: Server) -> None:
        self._database.retry(lambda: self._delete(server))
        removals.sweep_server(self._database, server.id)

    def touch(self, server_id: str, at: datetime, *, owner_id: str | None = None) -> None:
        if owner_id is None:
            owner = self._database.get(Pointer, keys.server_owner(server_id))
            if owner is None:
                return
            owner_id = owner.owner or ""
        # The owner's activity is the latest of its own and its servers', so one write is enough for both.
        known = Seen.server_activity[server_id]
        try:
            self._database.write(
                Update(keys.seen(owner_id), [known.set(keys.to_number(at))], known < keys.to_number(at))
            )
        except ConditionFailedError:
            return  # the stored one is later, or the item is gone

    def in_states(self, states: Iterable[State]) -> list[Server]:
        wanted = set(states)
        listed = {
            pointer.to or "": pointer.owner or ""
            for state in _IN_ORDER
            if state in wanted
            for pointer in self._database.query(Pointer, _state(state))
        }
        pairs = [(owner_id, server_id) for server_id, owner_id in listed.items()]
        found = self._with_activity(pairs)
        for seen in (found.item(Seen, keys.seen(owner_id)) for owner_id in set(listed.values())):
            if seen is not None:
                server_activity.move(self._database, seen)  # an edge writes only what has moved
        there = [server for server in _servers(pairs, found).values() if server.state in wanted]
        return sorted(there, key=lambda server: (server.entered_at, server.id))

    def count(self, states: Iterable[State]) -> int:
        return sum(self._database.count(_state(state)) for state in set(states))

    def queue_position(self, server: Server, now: datetime) -> int:
        queue = self._queues.get(server.state)
        return 0 if queue is None else queue.queue_position(server.entered_at, now)

    def _write(self, before: Server, after: Server, active_limit: int, places_kept: int, moves: Sequence[Step]) -> None:
        known = [at for at in (before.last_activity_at, after.last_activity_at) if at is not None]
        steps: list[Step] = [Put(_item(after, max(known, default=None)), _as_read(before), _conflict(before))]
        if (before.state, before.entered_at) != (after.state, after.entered_at):
            steps += [Delete(_where_listed(before)), _listed(after)]
        change = (after.state in ACTIVE) - (before.state in ACTIVE)
        if change or after.name != before.name:
            steps.append(_of_account(before, after, change))
        if change > 0 and active_limit:
            steps += self._place(before, after, active_limit, places_kept)
        elif change < 0:
            steps += self._active.give_back(after)
        self._database.transact([*steps, *moves])

    def _place(self, before: Server, after: Server, active_limit: int, places_kept: int) -> list[Step]:
        """Return the steps by which a server that starts takes a place under the limit.

        The limit is in the condition; the places that are kept for others are as right as the counters just read.
        """
        counted = self._active.counted(active_limit)
        # Until the first recount for this limit, servers may be active that no counter knows.
        is_full = not counted.is_right and self.count(ACTIVE) + places_kept >= active_limit
        is_full = is_full or counted.total + places_kept >= active_limit
        steps = [] if is_full else self._active.take(after, active_limit, counted)
        if steps:
            return steps
        if (found := self.get(before.id)) is None or not _is_as_read(found, before):
            raise _conflict(before)  # the same start was faster, and perhaps took the last place
        raise QuotaExceededError(
            f"The limit of {active_limit} active servers is reached", limit=active_limit, retry=True
        )

    def _create(self, server: Server, named_limit: int) -> None:
        account = self._accounts_for_servers([server.owner_id])[server.owner_id]
        self._check_free(account, server.name, named_limit)
        self._database.transact(_steps_to_add(server, _within(account, named_limit)))

    def _create_some(self, servers: Sequence[Server]) -> None:
        """Add servers of different owners in one transaction."""
        accounts = self._accounts_for_servers([server.owner_id for server in servers])
        for server in servers:
            self._check_free(accounts[server.owner_id], server.name, 0)
        self._database.transact([step for one in servers for step in _steps_to_add(one, Account.pk.exists())])

    def _delete(self, server: Server) -> None:
        place = self._active.give_back(server) if server.state in ACTIVE else []
        seen = self._database.get(Seen, keys.seen(server.owner_id))
        self._database.transact(
            [
                Delete(keys.server_item(server.owner_id, server.id), _as_read(server), _conflict(server)),
                Delete(keys.server_owner(server.id)),
                Delete(_where_listed(server)),
                Update(
                    keys.account(server.owner_id),
                    [Account.servers[keys.map_key(server.name)].remove(), *_counted(-int(server.state in ACTIVE))],
                    Account.pk.exists(),
                ),
                *server_activity.folded(seen, server.id),
                *place,
                *ledgers.steps_of_move(server, None, (), NONE),
                removals.begin_server(server.id),
            ]
        )

    def _accounts_for_servers(self, owner_ids: Sequence[str]) -> dict[str, Account]:
        """Return the accounts of users, whose activity can hold new servers from now on.

        Raises:
            NotFoundError: for the first user who does not exist.
        """
        found = self._database.get_many(
            key for owner_id in owner_ids for key in (keys.account(owner_id), keys.seen(owner_id))
        )
        accounts = dict[str, Account]()
        for owner_id in owner_ids:
            if (account := user_records.account_of(found, owner_id)) is None:
                raise NotFoundError("User", owner_id)
            accounts[owner_id] = account
            if (seen := found.item(Seen, keys.seen(owner_id))) is not None:
                server_activity.move(self._database, seen)
        return accounts

    @staticmethod
    def _check_free(account: Account, name: str, named_limit: int) -> None:
        if keys.map_key(name) in account.servers:
            raise NameTakenError("Server", name)
        if named_limit and len(account.servers.keys() - {_DEFAULT}) >= named_limit:
            raise QuotaExceededError(f"The limit of {named_limit} named servers is reached", limit=named_limit)

    def _of_owner(self, owner_id: str) -> list[Server]:
        """Return an owner's servers, oldest first, by one query that also reads their activity."""
        found = self._database.all_of(keys.user(owner_id), ServerItem.sk.between("SEEN", "SERVER$"))
        seen = found.item(Seen, keys.seen(owner_id))
        return [_server(item, seen) for item in found.each(ServerItem, "SERVER#")]

    def _read(self, wanted: Iterable[tuple[str, str]]) -> dict[str, Server]:
        pairs = list(wanted)
        return _servers(pairs, self._with_activity(pairs))

    def _with_activity(self, pairs: Iterable[tuple[str, str]]) -> Found:
        return self._database.get_many(
            key for owner, server_id in pairs for key in (keys.server_item(owner, server_id), keys.seen(owner))
        )


def of_accounts(database: Database, found: Found, user_ids: Iterable[str]) -> dict[str, list[Server]]:
    """Return the servers of users by owner's id, oldest first; *found* has what `user_records.keys_of` names."""
    accounts = [account for one in user_ids if (account := user_records.account_of(found, one)) is not None]
    pairs = [(account.id, server_id) for account in accounts for server_id in account.servers.values()]
    items = database.get_many(keys.server_item(*pair) for pair in pairs) if pairs else Found()
    servers: dict[str, list[Server]] = {}
    for server in sorted(_servers(pairs, Found(found | items)).values(), key=lambda server: server.id):
        servers.setdefault(server.owner_id, []).append(server)
    return servers


def _servers(pairs: Iterable[tuple[str, str]], found: Found) -> dict[str, Server]:
    """Return servers by id. *pairs* are the ids of their owners and their own."""
    return {
        server_id: _server(item, found.item(Seen, keys.seen(owner)))
        for owner, server_id in pairs
        if (item := found.item(ServerItem, keys.server_item(owner, server_id))) is not None
    }


def _state(state: State) -> str:
    return f"STATE#{state.value}"


def _where_listed(server: Server) -> Key:
    return keys.in_state(server.state.value, server.entered_at, server.id)


def _listed(server: Server) -> Step:
    return Put(Pointer(*_where_listed(server), to=server.id, owner=server.owner_id))


def _counted(change: int) -> list[Action]:
    return [Account.active.add(change)] if change else []


def _steps_to_add(server: Server, within: Condition) -> list[Step]:
    """Return the steps that add a server if its owner exists, its name is free, and *within* holds of the account."""
    named = Account.servers[keys.map_key(server.name)]
    return [
        Update(
            keys.account(server.owner_id),
            [named.set(server.id), *_counted(int(server.state in ACTIVE))],
            Account.gone.does_not_exist() & named.does_not_exist() & within,
        ),
        Put(_item(server, server.last_activity_at), ServerItem.pk.does_not_exist()),
        Put(Pointer(*keys.server_owner(server.id), owner=server.owner_id, to=server.id)),
        _listed(server),
        Update(keys.seen(server.owner_id), [Seen.server_activity[server.id].set(0)]),
    ]


def _within(account: Account, named_limit: int) -> Condition:
    """Return the condition that the owner may have one more named server; the main server does not count."""
    if not named_limit:
        return Account.pk.exists()
    default, servers = Account.servers[_DEFAULT], size(Account.servers)
    within: Condition = default.does_not_exist() & (servers < named_limit)
    if _DEFAULT in account.servers:
        within = default.exists() & (servers <= named_limit)
    return within


def _as_read(server: Server) -> Condition:
    launch = ServerItem.launch_id
    as_read: Condition = (
        (ServerItem.state == server.state.value)  # the decision was for this state …
        # … of this launch, not of a later one …
        & (launch.does_not_exist() if server.launch_id is None else launch == server.launch_id)
        & (ServerItem.revision == server.revision)  # … and no other write came between reading and writing
    )
    return as_read


def _is_as_read(found: Server, server: Server) -> bool:
    return (found.state, found.launch_id, found.revision) == (server.state, server.launch_id, server.revision)


def _conflict(server: Server) -> HublessError:
    return StoreConflictError(f"Server {server.id} is no longer {server.state}: another step was faster")


def _of_account(before: Server, after: Server, change: int) -> Step:
    """Return the changes of the owner's account: the number of active servers, and the names."""
    if after.name == before.name:
        # No server starts once the removal of its owner has begun.
        there = Account.pk.exists() & Account.gone.does_not_exist()
        return Update(keys.account(after.owner_id), _counted(change), there, _conflict(before))
    old, new = Account.servers[keys.map_key(before.name)], Account.servers[keys.map_key(after.name)]
    return Update(
        keys.account(after.owner_id),
        [old.remove(), new.set(after.id), *_counted(change)],
        Account.pk.exists() & Account.gone.does_not_exist() & new.does_not_exist(),
        NameTakenError("Server", after.name),
    )


def _item(server: Server, active_at: datetime | None) -> ServerItem:
    return ServerItem(
        *keys.server_item(server.owner_id, server.id),
        state=server.state.value,
        user_options=dict(server.user_options),
        last_activity_at=active_at,
        times_kept=server.times_kept,
        limits_reached=server.limits_reached or None,
        ledgers=server.ledgers or None,
        start_steps=server.start_steps or None,
        **{name: getattr(server, name) for name in _FIELDS},
    )


def _server(item: ServerItem, seen: Seen | None) -> Server:
    reported = server_activity.of_server(seen, item.id)
    known = [at for at in (item.last_activity_at, keys.to_instant(reported) if reported else None) if at is not None]
    facts: Mapping[str, Any] = {name: getattr(item, name) for name in _FIELDS}
    return Server(
        **{**facts, "revision": int(item.revision), "times_kept": int(item.times_kept)},
        state=State(item.state),
        user_options=item.user_options,
        limits_reached=item.limits_reached or (),
        ledgers=item.ledgers or (),
        start_steps=item.start_steps or (),
        last_activity_at=max(known, default=None),
    )

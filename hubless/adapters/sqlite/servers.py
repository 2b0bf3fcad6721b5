"""Servers in SQLite."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from hubless.adapters.sqlite.bulletin import require_no_maintenance
from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.adapters.sqlite.ledgers import SqliteLedgerStore
from hubless.adapters.sqlite.usage import metering_as_json, metering_of_json
from hubless.domain.budgets import Claim
from hubless.domain.errors import (
    NameTakenError,
    NotFoundError,
    QuotaExceededError,
    StoreConflictError,
)
from hubless.domain.lifecycle import ACTIVE, Server, StartStep, State
from hubless.domain.limits import LimitReached, Resource
from hubless.domain.maintenance import StartCheck
from hubless.domain.stop_reasons import StopCause, StopReason
from hubless.domain.usage import Totals
from hubless.ports.servers import NONE

_COLUMNS = "id, owner_id, name, state, launch_id, revision, entered_at, last_activity_at, facts"
_INSTANTS = ("created_at", "requested_at", "started_at", "deadline_at", "kept_until", "frozen_at")
_TEXTS = ("display_name", "profile", "task", "address", "failure")
_ACTIVE_FIRST = ("requested", "preparing", "launching", "starting", "ready", "stopping")


class SqliteServerStore:
    """Stores servers."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ledgers = SqliteLedgerStore(database)

    def get(self, server_id: str) -> Server | None:
        return self._one("id = ?", (server_id,))

    def find(self, owner_id: str, name: str) -> Server | None:
        return self._one("owner_id = ? AND name = ?", (owner_id, name))

    def get_many(self, server_ids: Iterable[str]) -> dict[str, Server]:
        found = self._many("id IN (SELECT value FROM json_each(?))", (json.dumps(list(server_ids)),))
        return {server.id: server for server in found}

    def of_owners(self, owner_ids: Iterable[str]) -> list[Server]:
        return self._many("owner_id IN (SELECT value FROM json_each(?)) ORDER BY id", (json.dumps(list(owner_ids)),))

    def create(self, server: Server, *, named_limit: int = 0) -> None:
        with self._database.transaction():
            if self.find(server.owner_id, server.name) is not None:
                raise NameTakenError("Server", server.name)
            # Counted under the write lock, so parallel calls cannot exceed the limit.
            if named_limit and self._named(server.owner_id) >= named_limit:
                raise QuotaExceededError(f"The limit of {named_limit} named servers is reached", limit=named_limit)
            try:
                self._database.write(
                    f"INSERT INTO servers ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 constant
                    _row(server),
                )
            except sqlite3.IntegrityError as missing:
                raise NotFoundError("User", server.owner_id) from missing

    def create_many(self, servers: Sequence[Server]) -> None:
        with self._database.transaction():
            for server in servers:
                self.create(server)

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
        starts = after.state in ACTIVE and before.state not in ACTIVE
        with self._database.transaction():
            try:
                written = self._update(before, after)
            except sqlite3.IntegrityError as taken:
                raise NameTakenError("Server", after.name) from taken
            if not written:
                raise StoreConflictError(f"Server {before.id} is no longer {before.state}: another step was faster")
            if start is not None:
                require_no_maintenance(self._database, start)  # under the write lock; the error undoes the update
            # Counted under the write lock, this server included; the error undoes the update.
            if active_limit and starts and self.count(ACTIVE) + places_kept > active_limit:
                raise QuotaExceededError(
                    f"The limit of {active_limit} active servers is reached", limit=active_limit, retry=True
                )
            self._ledgers.move(before, after, claims, used)

    def recount_active(self, active_limit: int, now: datetime) -> None:
        """Do nothing: each start counts the records."""

    def _update(self, before: Server, after: Server) -> int:
        _, _, name, state, launch_id, revision, entered_at, active_at, facts = _row(after)
        return self._database.write(
            "UPDATE servers SET name = ?, state = ?, launch_id = ?, revision = ?, entered_at = ?, facts = ?,"
            # Keep activity that was reported meanwhile.
            " last_activity_at = nullif(max(coalesce(last_activity_at, -1), coalesce(?, -1)), -1)"
            " WHERE id = ?"
            " AND state = ?"  # the decision was for this state …
            " AND launch_id IS ?"  # … of this launch, not of a later one …
            " AND revision = ?",  # … and no other write came between reading and writing
            (
                name,
                state,
                launch_id,
                revision,
                entered_at,
                facts,
                active_at,
                before.id,
                before.state.value,
                before.launch_id,
                before.revision,
            ),
        )

    def delete(self, server: Server) -> None:
        with self._database.transaction():
            deleted = self._database.write(
                "DELETE FROM servers WHERE id = ? AND state = ? AND launch_id IS ? AND revision = ?",
                (server.id, server.state.value, server.launch_id, server.revision),
            )
            if not deleted:
                raise StoreConflictError(f"Server {server.id} is no longer {server.state}: another step was faster")
            self._ledgers.move(server, None, (), NONE)

    def touch(self, server_id: str, at: datetime, *, owner_id: str | None = None) -> None:  # noqa: ARG002 the statement finds it
        number = to_number(at)
        with self._database.transaction():
            self._database.write(
                "UPDATE servers SET last_activity_at = ?1 WHERE id = ?2 AND coalesce(last_activity_at, -1) < ?1",
                (number, server_id),
            )
            self._database.write(
                "UPDATE users SET last_activity_at = ?1 WHERE id = (SELECT owner_id FROM servers WHERE id = ?2)"
                " AND coalesce(last_activity_at, -1) < ?1",
                (number, server_id),
            )

    def in_states(self, states: Iterable[State]) -> list[Server]:
        marks, values = _marks(states)
        return self._many(f"{marks} ORDER BY entered_at, id", values)

    def count(self, states: Iterable[State]) -> int:
        marks, values = _marks(states)
        found: int = self._database.read_one(f"SELECT count(*) FROM servers WHERE {marks}", values)[0]  # noqa: S608 marks only
        return found

    def queue_position(self, server: Server, now: datetime) -> int:  # noqa: ARG002 counting is cheap here
        found: int = self._database.read_one(
            "SELECT count(*) FROM servers WHERE state = ? AND entered_at < ? AND state IN ('requested', 'preparing')",
            (server.state.value, to_number(server.entered_at)),
        )[0]
        return found

    def _named(self, owner_id: str) -> int:
        found: int = self._database.read_one(
            "SELECT count(*) FROM servers WHERE owner_id = ? AND name != ''", (owner_id,)
        )[0]
        return found

    def _one(self, where: str, values: Sequence[Any]) -> Server | None:
        row = self._database.read_one(f"SELECT {_COLUMNS} FROM servers WHERE {where}", values)  # noqa: S608 fixed words
        return None if row is None else _server(row)

    def _many(self, where: str, values: Sequence[Any]) -> list[Server]:
        return [_server(row) for row in self._database.read(f"SELECT {_COLUMNS} FROM servers WHERE {where}", values)]  # noqa: S608 constant


def _marks(states: Iterable[State]) -> tuple[str, list[str]]:
    """Return the condition, written so that SQLite can use the partial index of active servers."""
    values = [state.value for state in states]
    marks = f"state IN ({', '.join('?' * len(values))})"
    active = all(value in _ACTIVE_FIRST for value in values)
    return (f"{marks} AND state NOT IN ('stopped', 'failed')" if active else marks), values


def _row(server: Server) -> tuple[Any, ...]:
    facts: dict[str, Any] = {name: to_number(getattr(server, name)) for name in _INSTANTS}
    facts |= {name: getattr(server, name) for name in _TEXTS}
    facts |= {"user_options": dict(server.user_options), "log_tail": list(server.log_tail)}
    facts |= {"jupyterhub_version": server.jupyterhub_version, "spare_id": server.spare_id}
    facts |= {"stop_reason": _reason_in_row(server.stop_reason), "times_kept": server.times_kept}
    facts["limits_reached"] = [[o.resource, o.limit, o.count, to_number(o.at)] for o in server.limits_reached]
    facts["metering"] = None if server.metering is None else metering_as_json(server.metering)
    facts["start_steps"] = [[step.state, to_number(step.began_at)] for step in server.start_steps]
    facts["ledgers"] = list(server.ledgers)
    return (
        server.id,
        server.owner_id,
        server.name,
        server.state.value,
        server.launch_id,
        server.revision,
        to_number(server.entered_at),
        to_number(server.last_activity_at),
        json.dumps(facts),
    )


def _server(row: Sequence[Any]) -> Server:
    server_id, owner_id, name, state, launch_id, revision, entered_at, last_activity_at, facts = row
    known = json.loads(facts)
    entered = to_instant(entered_at)
    assert entered is not None  # noqa: S101 the column is NOT NULL
    facts_of: dict[str, Any] = {key: to_instant(known.get(key)) for key in _INSTANTS}
    facts_of |= {key: known[key] for key in _TEXTS}
    return Server(
        id=server_id,
        owner_id=owner_id,
        name=name,
        entered_at=entered,
        state=State(state),
        launch_id=launch_id,
        revision=revision,
        last_activity_at=to_instant(last_activity_at),
        user_options=known["user_options"],
        log_tail=tuple(known["log_tail"]),
        jupyterhub_version=known.get("jupyterhub_version", ""),
        spare_id=known.get("spare_id", ""),
        stop_reason=_stop_reason(known.get("stop_reason")),
        times_kept=known.get("times_kept", 0),
        limits_reached=tuple(_limit_reached(*one) for one in known.get("limits_reached", ())),
        metering=metering_of_json(known.get("metering")),
        ledgers=tuple(known.get("ledgers", ())),
        start_steps=tuple(_start_step(*one) for one in known.get("start_steps", ())),
        **facts_of,
    )


def _reason_in_row(reason: StopReason | None) -> list[Any] | None:
    if reason is None:
        return None
    return [reason.cause, reason.by, None if reason.limit is None else reason.limit.total_seconds()]


def _stop_reason(stored: list[Any] | None) -> StopReason | None:
    if stored is None:
        return None
    cause, by, limit = stored
    return StopReason(StopCause(cause), by, None if limit is None else timedelta(seconds=limit))


def _start_step(state: str, at: int) -> StartStep:
    began_at = to_instant(at)
    assert began_at is not None  # noqa: S101 each step has begun
    return StartStep(State(state), began_at)


def _limit_reached(resource: str, limit: int, count: int, at: int | None) -> LimitReached:
    return LimitReached(Resource(resource), limit, count, to_instant(at))

"""The log of usage in SQLite, with its totals."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain.metering import NOTHING, Metering
from hubless.domain.usage import Totals, TotalsOf, TotalsRow, Usage, days_of, rows_of

_SUMS = "launches, seconds, cpu_millis, mib_seconds, gpu_seconds, cost_micros"


class SqliteUsageLog:
    """Stores the usage of each launch, and totals."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, usage: Usage, *, expires_at: datetime | None = None) -> None:
        facts = {
            "server_id": usage.server_id,
            "profile": usage.profile,
            "ended_at": to_number(usage.ended_at),
            "outcome": usage.outcome,
            "metering": metering_as_json(usage.metering),
        }
        row = (
            usage.launch_id,
            usage.owner_id,
            to_number(usage.started_at),
            json.dumps(facts),
            to_number(expires_at),
        )
        with self._database.transaction():
            is_new = self._database.write(
                "INSERT INTO usage (launch_id, owner_id, started_at, facts, expires_at) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                row,
            )
            for one in rows_of(usage) if is_new else ():
                self._add_to_totals(one)

    def of_owner(self, owner_id: str) -> list[Usage]:
        rows = self._database.read(
            "SELECT launch_id, owner_id, started_at, facts FROM usage WHERE owner_id = ? ORDER BY started_at",
            (owner_id,),
        )
        return [_usage(*row) for row in rows]

    def of_month(self, of: TotalsOf, month: str) -> list[TotalsRow]:
        rows = self._database.read(
            f"SELECT subject, period, {_SUMS} FROM usage_totals WHERE of = ? AND period = ? ORDER BY subject",  # noqa: S608 constant
            (of.value, month),
        )
        return [_totals_row(of, *row) for row in rows]

    def of_users(self, user_ids: Iterable[str], month: str) -> dict[str, Totals]:
        rows = self._database.read(
            f"SELECT subject, {_SUMS} FROM usage_totals WHERE of = ? AND period = ?"  # noqa: S608 constant
            " AND subject IN (SELECT value FROM json_each(?))",
            (TotalsOf.USER.value, month, json.dumps(list(user_ids))),
        )
        return {subject: Totals(*sums) for subject, *sums in rows}

    def of_days(self, of: TotalsOf, subject: str, month: str) -> list[TotalsRow]:
        rows = self._database.read(
            f"SELECT subject, period, {_SUMS} FROM usage_totals"  # noqa: S608 constant
            " WHERE of = ? AND period IN (SELECT value FROM json_each(?)) AND subject = ? ORDER BY period",
            (of.value, json.dumps(days_of(month)), subject),
        )
        return [_totals_row(of, *row) for row in rows]

    def delete_expired(self, now: datetime, limit: int) -> int:
        return self._database.write(
            "DELETE FROM usage WHERE launch_id IN (SELECT launch_id FROM usage WHERE expires_at <= ? LIMIT ?)",
            (to_number(now), limit),
        )

    def _add_to_totals(self, row: TotalsRow) -> None:
        more = row.totals
        self._database.write(
            f"INSERT INTO usage_totals (of, period, subject, {_SUMS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 constant
            " ON CONFLICT (of, period, subject) DO UPDATE SET launches = launches + excluded.launches,"
            " seconds = seconds + excluded.seconds, cpu_millis = cpu_millis + excluded.cpu_millis,"
            " mib_seconds = mib_seconds + excluded.mib_seconds, gpu_seconds = gpu_seconds + excluded.gpu_seconds,"
            " cost_micros = cost_micros + excluded.cost_micros",
            (
                row.of.value,
                row.period,
                row.subject,
                more.launches,
                more.seconds,
                more.cpu_millis,
                more.mib_seconds,
                more.gpu_seconds,
                more.cost_micros,
            ),
        )


def metering_as_json(metering: Metering) -> list[Any]:
    """Return *metering* as JSON has it."""
    return [
        metering.cpu_millis,
        metering.memory_mib,
        metering.gpus,
        metering.price_micros,
        metering.currency,
        list(metering.groups),
    ]


def metering_of_json(stored: list[Any] | None) -> Metering | None:
    """Return the metering of a record; None for a record from before there was one."""
    if stored is None:
        return None
    cpu_millis, memory_mib, gpus, price_micros, currency, groups = stored
    return Metering(cpu_millis, memory_mib, gpus, price_micros, currency, tuple(groups))


def _usage(launch_id: str, owner_id: str, started: int, text: str) -> Usage:
    facts: Mapping[str, Any] = json.loads(text)
    started_at, ended_at = to_instant(started), to_instant(facts["ended_at"])
    assert started_at is not None  # noqa: S101 the column is NOT NULL
    assert ended_at is not None  # noqa: S101 written with every usage
    metering = metering_of_json(facts.get("metering")) or NOTHING
    return Usage(
        launch_id, facts["server_id"], owner_id, facts["profile"], started_at, ended_at, facts["outcome"], metering
    )


def _totals_row(of: TotalsOf, subject: str, period: str, *sums: int) -> TotalsRow:
    return TotalsRow(of, subject, period, Totals(*sums))

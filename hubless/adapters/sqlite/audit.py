"""Audit records in SQLite."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from hubless.adapters.sqlite.database import Database, to_instant, to_number
from hubless.domain.audit import Act, AuditPage, AuditQuery, AuditRecord, Doer, DoerKind

_COLUMNS = 'at, id, act, by_kind, by_name, address, token_id, "on", about, count, others'
_AT_ONCE = 200  # records of one transaction
_SAME = 'act = ?3 AND by_kind = ?4 AND by_name = ?5 AND address = ?6 AND "on" = ?8'


class SqliteAuditLog:
    """Stores audit records. An index for each way of searching has the records in their order."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, records: Sequence[AuditRecord]) -> None:
        self._database.in_turns(records, _AT_ONCE, self._add)

    def _add(self, records: Sequence[AuditRecord]) -> None:
        self._database.write_many(
            f"INSERT INTO audit ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",  # noqa: S608 fixed words
            [_row(record) for record in records],
        )

    def count(self, record: AuditRecord, ids: Sequence[str]) -> None:
        at, _id, *facts = _row(record)
        with self._database.transaction():
            for one in ids:
                changed = self._database.write(
                    f"INSERT INTO audit ({_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"  # noqa: S608 fixed words
                    f" ON CONFLICT (at, id) DO UPDATE SET count = count + 1 WHERE {_SAME}",
                    (at, one, *facts),
                )
                if changed:
                    return
            self._database.write("UPDATE audit SET others = others + 1 WHERE at = ? AND id = ?", (at, ids[0]))

    def page(self, query: AuditQuery, *, limit: int) -> AuditPage:
        wheres, values = ["at >= ?", "at < ?"], list[Any]((to_number(query.since), to_number(query.until)))
        for where, given in (("by_name = ?", query.by), ('"on" = ?', query.on), ("act = ?", query.act)):
            if given:
                wheres.append(where)
                values.append(given)
        if query.before is not None:
            wheres.append("(at, id) < (?, ?)")
            values += [to_number(query.before.at), query.before.id]
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM audit WHERE {' AND '.join(wheres)} ORDER BY at DESC, id DESC LIMIT ?",  # noqa: S608 fixed words
            (*values, limit + 1),
        )
        found = tuple(_record(row) for row in rows[:limit])
        return AuditPage(found, found[-1].place if len(rows) > limit else None)

    def delete_before(self, at: datetime, limit: int) -> int:
        return self._database.write(
            "DELETE FROM audit WHERE (at, id) IN (SELECT at, id FROM audit WHERE at < ? ORDER BY at, id LIMIT ?)",
            (to_number(at), limit),
        )


def _row(record: AuditRecord) -> tuple[Any, ...]:
    by = record.by
    return (
        to_number(record.at),
        record.id,
        record.act,
        by.kind,
        by.name,
        by.address,
        by.token_id,
        record.on,
        json.dumps(dict(record.about)),
        record.count,
        record.others,
    )


def _record(row: Sequence[Any]) -> AuditRecord:
    at, identifier, act, kind, name, address, token_id, on, about, count, others = row
    instant = to_instant(at)
    assert instant is not None  # noqa: S101 the column is NOT NULL
    by = Doer(DoerKind(kind), name, address, token_id)
    return AuditRecord(identifier, instant, Act(act), by, on, json.loads(about), count, others)

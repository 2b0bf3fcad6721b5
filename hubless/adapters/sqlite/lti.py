"""LTI's keys, platforms and courses, in SQLite."""

import json
import sqlite3
from collections.abc import Sequence

from hubless.adapters.sqlite.database import Database
from hubless.domain import lti_courses, lti_platforms
from hubless.domain.errors import NameTakenError, StoreConflictError
from hubless.domain.lti_courses import Course, course_key
from hubless.domain.lti_platforms import LtiPlatform
from hubless.ports.lti import SealedKeys

_CHANGED = "Another request changed this meanwhile"


class SqliteLtiStore:
    """Stores what LTI needs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keys(self) -> SealedKeys | None:
        row = self._database.read_one("SELECT sealed, revision FROM lti_keys")
        return None if row is None else SealedKeys(*row)

    def replace_keys(self, before: SealedKeys | None, after: SealedKeys) -> None:
        if before is None:
            done = self._database.write(
                "INSERT INTO lti_keys (only, sealed, revision) VALUES (1, ?, ?) ON CONFLICT DO NOTHING",
                (after.sealed, after.revision),
            )
        else:
            done = self._database.write(
                "UPDATE lti_keys SET sealed = ?, revision = ? WHERE revision = ?",
                (after.sealed, after.revision, before.revision),
            )
        if not done:
            raise StoreConflictError(_CHANGED)

    def platforms(self) -> list[LtiPlatform]:
        rows = self._database.read("SELECT facts FROM lti_platforms ORDER BY name")
        return [lti_platforms.from_facts(json.loads(facts)) for (facts,) in rows]

    def add_platform(self, platform: LtiPlatform) -> None:
        try:
            self._database.write(
                "INSERT INTO lti_platforms (name, issuer, client_id, facts) VALUES (?, ?, ?, ?)",
                (platform.name, platform.issuer, platform.client_id, json.dumps(lti_platforms.to_facts(platform))),
            )
        except sqlite3.IntegrityError as taken:
            if taken.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
                raise NameTakenError("LTI platform", platform.name) from taken
            raise StoreConflictError("Another platform has this issuer and client id") from taken

    def remove_platform(self, platform: LtiPlatform) -> None:
        self._database.write("DELETE FROM lti_platforms WHERE name = ?", (platform.name,))

    def course(self, issuer: str, context_id: str) -> Course | None:
        return self._course("SELECT facts FROM lti_courses WHERE key = ?", course_key(issuer, context_id))

    def course_of_group(self, group: str) -> Course | None:
        return self._course("SELECT facts FROM lti_courses WHERE group_name = ?", group)

    def courses(self, groups: Sequence[str] | None = None) -> list[Course]:
        if groups is None:
            rows = self._database.read("SELECT facts FROM lti_courses ORDER BY group_name")
        else:
            rows = self._database.read(
                "SELECT facts FROM lti_courses JOIN json_each(?) ON value = group_name ORDER BY group_name",
                (json.dumps(list(groups)),),
            )
        return [lti_courses.from_facts(json.loads(facts)) for (facts,) in rows]

    def save_course(self, before: Course | None, after: Course) -> None:
        facts = json.dumps(lti_courses.to_facts(after))
        if before is None:
            done = self._database.write(
                "INSERT INTO lti_courses (key, group_name, revision, facts) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (after.key, after.group, after.revision, facts),
            )
        else:
            done = self._database.write(
                "UPDATE lti_courses SET revision = ?, facts = ? WHERE key = ? AND revision = ?",
                (after.revision, facts, after.key, before.revision),
            )
        if not done:
            raise StoreConflictError(_CHANGED)

    def _course(self, query: str, value: str) -> Course | None:
        row = self._database.read_one(query, (value,))
        return None if row is None else lti_courses.from_facts(json.loads(row[0]))

"""LTI's keys, platforms and courses, in DynamoDB."""

from collections.abc import Sequence

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import Database, Delete, Put
from hubless.adapters.dynamodb.table import LtiItem, Pointer
from hubless.domain import lti_courses, lti_platforms
from hubless.domain.errors import NameTakenError, StoreConflictError
from hubless.domain.lti_courses import Course, course_key
from hubless.domain.lti_platforms import LtiPlatform
from hubless.ports.lti import SealedKeys


class DynamoLtiStore:
    """Stores what LTI needs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keys(self) -> SealedKeys | None:
        item = self._database.get(LtiItem, keys.LTI_KEYS)
        return None if item is None else SealedKeys(item.facts["sealed"], int(item.revision))

    def replace_keys(self, before: SealedKeys | None, after: SealedKeys) -> None:
        written = LtiItem(*keys.LTI_KEYS, facts={"sealed": after.sealed}, revision=after.revision)
        as_read = LtiItem.pk.does_not_exist() if before is None else LtiItem.revision == before.revision
        self._database.transact([Put(written, as_read, _changed())])

    def platforms(self) -> list[LtiPlatform]:
        found = self._database.query(LtiItem, keys.LTI_PLATFORMS)
        return sorted((lti_platforms.from_facts(item.facts) for item in found), key=lambda platform: platform.name)

    def add_platform(self, platform: LtiPlatform) -> None:
        item = LtiItem(*keys.lti_platform(platform.name), facts=lti_platforms.to_facts(platform), revision=1)
        client = Pointer(*keys.lti_client(platform.issuer, platform.client_id), to=platform.name)
        self._database.transact(
            [
                Put(item, LtiItem.pk.does_not_exist(), NameTakenError("LTI platform", platform.name)),
                Put(
                    client,
                    Pointer.pk.does_not_exist(),
                    StoreConflictError("Another platform has this issuer and client id"),
                ),
            ]
        )

    def remove_platform(self, platform: LtiPlatform) -> None:
        self._database.transact(
            [
                Delete(keys.lti_platform(platform.name)),
                Delete(keys.lti_client(platform.issuer, platform.client_id)),
            ]
        )

    def course(self, issuer: str, context_id: str) -> Course | None:
        return self._course(course_key(issuer, context_id))

    def course_of_group(self, group: str) -> Course | None:
        pointer = self._database.get(Pointer, keys.lti_group(group))
        return None if pointer is None else self._course(pointer.to or "")

    def courses(self, groups: Sequence[str] | None = None) -> list[Course]:
        found = [lti_courses.from_facts(item.facts) for item in self._database.query(LtiItem, keys.LTI_COURSES)]
        wanted = found if groups is None else [course for course in found if course.group in set(groups)]
        return sorted(wanted, key=lambda course: course.group)

    def save_course(self, before: Course | None, after: Course) -> None:
        item = LtiItem(*keys.lti_course(after.key), facts=lti_courses.to_facts(after), revision=after.revision)
        if before is not None:
            self._database.transact([Put(item, LtiItem.revision == before.revision, _changed())])
            return
        pointer = Pointer(*keys.lti_group(after.group), to=after.key)
        self._database.transact(
            [
                Put(item, LtiItem.pk.does_not_exist(), _changed()),
                Put(pointer, Pointer.pk.does_not_exist(), _changed()),
            ]
        )

    def _course(self, key: str) -> Course | None:
        item = self._database.get(LtiItem, keys.lti_course(key))
        return None if item is None else lti_courses.from_facts(item.facts)


def _changed() -> StoreConflictError:
    return StoreConflictError("Another request changed this meanwhile")

"""Auditing: records who did what to whom, and finds it again."""

import hashlib
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from hubless.domain.audit import (
    MAX_PAGE,
    Act,
    AuditPage,
    AuditQuery,
    AuditRecord,
    Doer,
    DoerKind,
    Place,
    bounded,
    bounded_name,
)
from hubless.domain.errors import HublessError
from hubless.domain.people_batches import AddedPerson
from hubless.domain.tokens import Client, Token
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.domain.visits import Visit
from hubless.domain.workloads import WorkloadRule
from hubless.ports.audit import AuditLog
from hubless.ports.clock import Clock
from hubless.services.identifiers import new_id

logger = logging.getLogger(__name__)
SETTINGS: Final = "settings"  # the name under which records of changed settings are found
_CHANGED: Final = "changed"  # the detail with the names of tables that have changed
_SLOTS: Final = 1024  # records of failed logins within an hour
_AHEAD: Final = timedelta(days=1)  # a clock of another machine may be ahead


@value
class Auditing:
    """Keeps audit records for as long as settings say."""

    log: AuditLog
    clock: Clock
    keep: timedelta

    def record(self, by: Doer, act: Act, *on: str, about: Mapping[str, str] | None = None) -> None:
        """Record an act that is done: once for each name in *on*, or once if there is none.

        It raises nothing: the act cannot be undone. A record that cannot be stored is in the log.
        """
        now, details = self.clock.now(), bounded(about or {})
        doer = replace(by, name=bounded_name(by.name))
        records = [AuditRecord(new_id("r", now), now, act, doer, bounded_name(one), details) for one in on or ("",)]
        try:
            self.log.add(records)
        except HublessError as failed:
            for record in records:
                logger.error("an audit record is not stored (%s): %s", failed, record)  # noqa: TRY400 one line

    def login_failed(self, address: str, name: str) -> None:
        """Count a failed login within its hour, by name and address. It raises nothing.

        An attack with many names from many addresses makes at most 1,024 records an hour. What finds no room of its own
        is counted in another record.

        Args:
            address: the client's.
            name: of a user; "" if no user has the name that was typed, which may be a password.
        """
        now = self.clock.now()
        hour = now.replace(minute=0, second=0, microsecond=0)
        doer = Doer(DoerKind.NOBODY, address=bounded_name(address))
        record = AuditRecord("", hour, Act.LOGIN_FAILED, doer, bounded_name(name))
        digest = hashlib.sha256(f"{len(name)}:{name}{address}".encode("utf-8", "surrogatepass")).digest()
        slots = [int.from_bytes(digest[start : start + 4]) % _SLOTS for start in (0, 4)]
        try:
            self.log.count(record, [f"f{slot:04}" for slot in slots])
        except HublessError as failed:
            logger.error("an audit record is not stored (%s): %s", failed, record)  # noqa: TRY400 one line

    def opened(self, visit: Visit, owner_name: str) -> None:
        """Record that a person logged in at somebody else's server."""
        how = "role" if visit.by_role else "share"
        doer = Doer(DoerKind.USER, visit.visitor_name)
        self.record(doer, Act.SERVER_OPENED, owner_name, about={"server": visit.server_name, "by": how})

    def authorized(self, user: User, client: Client, token: Token) -> None:
        """Record that a service has a token of a user from now on; logins at servers are no news, or are visits."""
        if client.server_id is None:
            about = {"token": token.id, "client": client.id}
            self.record(Doer(DoerKind.USER, user.name), Act.TOKEN_ISSUED, user.name, about=about)

    def exchanged(self, rule: WorkloadRule, token: Token, address: str) -> None:
        """Record that a workload has a token of a user or a service from now on."""
        kind, name = (DoerKind.SERVICE, rule.service) if rule.service else (DoerKind.USER, rule.user)
        about = {"token": token.id, "rule": rule.name}
        self.record(Doer(kind, name, address), Act.TOKEN_ISSUED, name, about=about)

    def people_added(self, by: Doer, people: Iterable[AddedPerson], linked: Collection[str]) -> None:
        """Record who was added to the hub and to groups at once; those in *linked* got links."""
        there = [one for one in people if not one.is_lost]
        for is_admin in (False, True):
            if new := [one.name for one in there if one.is_new and one.admin == is_admin]:
                self.record(by, Act.USER_ADDED, *new, about={"admin": "yes" if is_admin else ""})
        if with_links := [one.name for one in there if one.name in linked]:
            self.record(by, Act.PASSWORD_LINK_MADE, *with_links)
        for group in dict.fromkeys(group for one in there for group in one.groups):
            members = [one.name for one in there if group in one.groups]
            self.record(by, Act.MEMBER_ADDED, *members, about={"group": group})

    def note_settings(self, digests: Mapping[str, str]) -> None:
        """Record the settings if they are others than when this was called last, with the names of changed tables.

        Args:
            digests: a digest of each table, with a key that nobody else has: a value cannot be guessed from it.
        """
        before = self.page(self.query(on=SETTINGS, act=Act.SETTINGS_CHANGED), limit=1).records
        known = dict(before[0].about) if before else {}
        known.pop(_CHANGED, None)
        if known == digests:
            return
        changed = [name for name in sorted({*digests, *known}) if known and digests.get(name) != known.get(name)]
        about = {**digests, _CHANGED: ", ".join(changed)}
        self.record(Doer(DoerKind.HUB), Act.SETTINGS_CHANGED, SETTINGS, about=about)

    def query(
        self,
        *,
        by: str = "",
        on: str = "",
        act: Act | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: Place | None = None,
    ) -> AuditQuery:
        """Return the query for these parts within the time for which records are kept."""
        now = self.clock.now()
        oldest, newest = now - self.keep, now + _AHEAD
        return AuditQuery(
            max(since or oldest, oldest), min(until or newest, newest), bounded_name(by), bounded_name(on), act, before
        )

    def page(self, query: AuditQuery, *, limit: int) -> AuditPage:
        """Return at most *limit* records, the newest first."""
        return self.log.page(query, limit=max(1, min(limit, MAX_PAGE)))

    def pages(self, query: AuditQuery) -> Iterator[AuditPage]:
        """Yield all pages of the query, one read at a time."""
        while True:
            page = self.page(query, limit=MAX_PAGE)
            yield page
            if page.after is None:
                return
            query = replace(query, before=page.after)

    def delete_old(self, now: datetime, limit: int) -> int:
        """Remove up to *limit* records that were kept long enough, and return how many."""
        return self.log.delete_before(now - self.keep, limit)

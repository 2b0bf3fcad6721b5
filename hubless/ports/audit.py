"""The store of audit records."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from hubless.domain.audit import AuditPage, AuditQuery, AuditRecord


class AuditLog(Protocol):
    """Stores audit records. Nothing changes or removes one that was added, but for its age."""

    def add(self, records: Sequence[AuditRecord]) -> None:
        """Store *records*. Idempotent: a second call stores none twice."""
        ...

    def count(self, record: AuditRecord, ids: Sequence[str]) -> None:
        """Store *record* under the first of *ids* that is free at its instant, or count it where an equal one is.

        Equal is what has the same act, doer and `on`. If other records have all *ids*, the first counts one more of
        `others`. So the number of records of one instant has a bound, which the caller chooses by its ids.
        """
        ...

    def page(self, query: AuditQuery, *, limit: int) -> AuditPage:
        """Return at most *limit* records, the newest first; fewer if it examined many that do not fit."""
        ...

    def delete_before(self, at: datetime, limit: int) -> int:
        """Remove up to *limit* of the oldest records from before *at*, and return how many."""
        ...

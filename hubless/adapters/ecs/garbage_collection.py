"""Garbage-collects task definitions that no profile needs, no task uses, and no launch used for a day.

A few at a time, because ECS throttles. If a launch uses a definition that was just removed, the launcher registers it
again.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta

from hubless.adapters.aws import Clients
from hubless.adapters.ecs import naming
from hubless.adapters.ecs.config import EcsConfig
from hubless.adapters.ecs.definition_usage import UNUSED_AFTER, DefinitionUsage
from hubless.ports.clock import Clock

DEFINITIONS_PER_CALL = 10  # as many as ECS deletes at once
FAMILIES_PER_CALL = 30  # with home volumes each owner may have a family, and each costs a request
COLLECT_EVERY = timedelta(hours=1)  # a listing costs money, and profiles rarely change


class DefinitionGarbageCollector:
    """Deregisters task definitions, and then deletes them."""

    def __init__(self, config: EcsConfig, clients: Clients, clock: Clock) -> None:
        self._config, self._clients, self._clock = config, clients, clock
        self._usage = DefinitionUsage(config, clients)
        self._all_done_at: datetime | None = None
        self._kind = ""  # the kind at which the last call stopped …
        self._walk: Iterator[int] | None = None  # … and the rest of its families
        self._gone = 0  # definitions removed since the first kind
        self._inactive: list[str] = []  # what this call has to delete

    def collect(self, kinds_in_use: Collection[str]) -> int:
        """Remove up to `DEFINITIONS_PER_CALL` definitions of other kinds, and return how many it removed.

        It checks at most `FAMILIES_PER_CALL` families, and the next call continues behind them. After a full pass
        without a removal it does nothing for `COLLECT_EVERY`.
        """
        now = self._clock.now()
        if self._all_done_at is not None and now - self._all_done_at < COLLECT_EVERY:
            return 0
        used = self._usage.all()
        disused = [kind for kind in sorted(used) if kind not in kinds_in_use and now - used[kind] >= UNUSED_AFTER]
        self._inactive.clear()
        is_whole = self._walk_on(disused)
        self._delete_inactive()
        if is_whole:
            self._all_done_at = None if self._gone else now
            self._kind, self._gone = "", 0
        return len(self._inactive)

    def _walk_on(self, disused: Sequence[str]) -> bool:
        """Deregister what this call may remove, and say whether it came to the end of the last kind."""
        for looks, found in enumerate(self._resume(disused), 1):
            self._gone += found
            if len(self._inactive) >= DEFINITIONS_PER_CALL or looks >= FAMILIES_PER_CALL:
                return False
        return True

    def _delete_inactive(self) -> None:
        """Delete them all together: ECS allows five deletions at once, and one a second after them."""
        for first in range(0, len(self._inactive), DEFINITIONS_PER_CALL):
            some = self._inactive[first : first + DEFINITIONS_PER_CALL]
            self._clients.ecs.delete_task_definitions(taskDefinitions=some)

    def _resume(self, kinds: Sequence[str]) -> Iterator[int]:
        """Continue where the last call stopped; yield for each family how many definitions are to be deleted."""
        for kind in kinds:
            if kind < self._kind:
                continue
            if kind > self._kind or self._walk is None:
                self._kind, self._walk = kind, self._discard(kind)
            try:
                for found in self._walk:  # noqa: UP028 `yield from` would close the iterator with this call
                    yield found
            except Exception:
                self._walk = None  # the next call starts this kind again
                raise

    def _discard(self, kind: str) -> Iterator[int]:
        prefix, gone, has_task = naming.families_of(self._config.hub, kind), 0, False
        # Inactive ones are left by a run that crashed between deregistering and deleting.
        for status in ("ACTIVE", "INACTIVE"):
            for family in self._families(prefix, status):
                is_used = status == "ACTIVE" and self._has_task(family)
                found = 0 if is_used else self._retire(family, status)
                has_task, gone = has_task or is_used, gone + found
                yield found
        if not gone and not has_task:
            self._usage.remove(kind)

    def _families(self, prefix: str, status: str) -> Iterator[str]:
        pages = self._clients.ecs.get_paginator("list_task_definition_families").paginate(
            familyPrefix=prefix, status=status
        )
        return (str(family) for page in pages for family in page["families"])

    def _has_task(self, family: str) -> bool:
        """Say whether a task uses the family. ECS's list may lag; a running task does not need its definition."""
        return bool(self._clients.ecs.list_tasks(cluster=self._config.cluster, family=family, maxResults=1)["taskArns"])

    def _retire(self, family: str, status: str) -> int:
        """Deregister the active definitions of *family*, or take its inactive ones; return how many."""
        found = self._clients.ecs.list_task_definitions(
            familyPrefix=family, status=status, maxResults=DEFINITIONS_PER_CALL
        )
        arns = [arn for arn in found["taskDefinitionArns"] if arn not in self._inactive]
        for arn in arns:
            if status == "ACTIVE":
                self._clients.ecs.deregister_task_definition(taskDefinition=arn)
            self._inactive.append(arn)
        return len(arns)

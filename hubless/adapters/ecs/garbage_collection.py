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
        gone = 0
        for looks, deleted in enumerate(self._resume(disused), 1):
            gone += deleted
            self._gone += deleted
            if gone >= DEFINITIONS_PER_CALL or looks >= FAMILIES_PER_CALL:
                return gone
        if not self._gone:
            self._all_done_at = now
        self._kind, self._gone = "", 0
        return gone

    def _resume(self, kinds: Sequence[str]) -> Iterator[int]:
        """Continue where the last call stopped; yield for each family how many definitions were removed."""
        for kind in kinds:
            if kind < self._kind:
                continue
            if kind > self._kind or self._walk is None:
                self._kind, self._walk = kind, self._discard(kind)
            try:
                for deleted in self._walk:  # noqa: UP028 `yield from` would close the iterator with this call
                    yield deleted
            except Exception:
                self._walk = None  # the next call starts this kind again
                raise

    def _discard(self, kind: str) -> Iterator[int]:
        prefix, gone, has_task = naming.families_of(self._config.hub, kind), 0, False
        # Inactive ones are left by a run that crashed between deregistering and deleting.
        for status in ("ACTIVE", "INACTIVE"):
            for family in self._families(prefix, status):
                is_used = status == "ACTIVE" and self._has_task(family)
                deleted = 0 if is_used else self._delete_some(family, status)
                has_task, gone = has_task or is_used, gone + deleted
                yield deleted
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

    def _delete_some(self, family: str, status: str) -> int:
        found = self._clients.ecs.list_task_definitions(
            familyPrefix=family, status=status, maxResults=DEFINITIONS_PER_CALL
        )
        arns = found["taskDefinitionArns"]
        if status == "ACTIVE":
            for arn in arns:
                self._clients.ecs.deregister_task_definition(taskDefinition=arn)
        if arns:
            self._clients.ecs.delete_task_definitions(taskDefinitions=arns)
        return len(arns)

"""Putting away task definitions that no profile on offer needs, that no task runs by, and that nobody launched by for a day.

A few at a time: ECS throttles. What is put away while somebody launches by it after all is registered again by the launcher.
"""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from hubless.adapters.aws import Clients
from hubless.adapters.ecs import naming
from hubless.adapters.ecs.facts import Facts
from hubless.adapters.ecs.kinds import DISUSED_AFTER, Kinds
from hubless.ports.clock import Clock

AT_ONCE = 10  # definitions a call: as many as ECS deletes at once
LOOK_EVERY = timedelta(hours=1)  # a listing costs, and profiles change seldom


class DisusedDefinitions:
    """Deregisters definitions, and then deletes them."""

    def __init__(self, facts: Facts, clients: Clients, clock: Clock) -> None:
        self._facts, self._clients, self._clock = facts, clients, clock
        self._kinds = Kinds(facts, clients)
        self._all_done_at: datetime | None = None

    def discard(self, kinds_in_use: Collection[str]) -> int:
        """Put away up to `AT_ONCE` definitions of other kinds and return how many; nothing soon after all was done."""
        now = self._clock.now()
        if self._all_done_at is not None and now - self._all_done_at < LOOK_EVERY:
            return 0
        gone = 0
        for kind, used_at in sorted(self._kinds.all().items()):
            if kind in kinds_in_use or now - used_at < DISUSED_AFTER:
                continue
            gone += self._discard(kind, AT_ONCE - gone)
            if gone >= AT_ONCE:
                return gone
        if not gone:
            self._all_done_at = now
        return gone

    def _discard(self, kind: str, limit: int) -> int:
        prefix, gone, is_run_by = naming.families_of(self._facts.hub, kind), 0, False
        # Those that are inactive already were left by whoever died before deleting them.
        for status in ("ACTIVE", "INACTIVE"):
            for family in self._families(prefix, status):
                if status == "ACTIVE" and self._is_run_by(family):
                    is_run_by = True
                    continue
                gone += self._put_away(family, status)
                if gone >= limit:
                    return gone
        if not gone and not is_run_by:
            self._kinds.remove(kind)
        return gone

    def _families(self, prefix: str, status: str) -> Iterator[str]:
        pages = self._clients.ecs.get_paginator("list_task_definition_families").paginate(familyPrefix=prefix, status=status)
        return (str(family) for page in pages for family in page["families"])

    def _is_run_by(self, family: str) -> bool:
        """Say whether a task runs by the family. ECS's list may lag, which is no harm: a running task does without it."""
        return bool(self._clients.ecs.list_tasks(cluster=self._facts.cluster, family=family, maxResults=1)["taskArns"])

    def _put_away(self, family: str, status: str) -> int:
        found = self._clients.ecs.list_task_definitions(familyPrefix=family, status=status, maxResults=AT_ONCE)
        arns = found["taskDefinitionArns"]
        if status == "ACTIVE":
            for arn in arns:
                self._clients.ecs.deregister_task_definition(taskDefinition=arn)
        if arns:
            self._clients.ecs.delete_task_definitions(taskDefinitions=arns)
        return len(arns)

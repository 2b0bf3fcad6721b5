"""The cloud's parts away for twice `idle_after`, in simulated time: no server in use is ended by it.

A hub from its functions' handlers down, with DynamoDB and SQS in moto and a double of ECS. While the table is away
nothing can be noted. While the edge is away sweeps go on, and nobody tells who uses what.
"""

from dataclasses import replace
from datetime import timedelta

from faults.downtime import Found
from faults.rows import NO_NOTION, Row, progress

from hubless.domain.idleness import IdlePolicy
from hubless.domain.lifecycle import State
from hubless.domain.routes import ServerKey
from tests.support.cloud_hub import CloudHub
from tests.support.dynamodb import in_new_table, moto
from tests.support.event_source_mapping import Sqs

MINUTE, IDLE_MINUTES = timedelta(minutes=1), 15
REPORTS = timedelta(minutes=5)  # of edges in AWS
PAUSE = timedelta(seconds=70)  # between two sweeps in AWS, that is no downtime
USED, UNUSED = ("used0", "used1"), ("unused0", "unused1")
PARTS = ("table", "edge")


class Hub(CloudHub):
    """Servers of one user, of which one half is in use."""

    def __init__(self, *places):
        super().__init__(*places, idle_policy=IdlePolicy(idle_after=IDLE_MINUTES * MINUTE), longest_pause=PAUSE)
        self.reaping = replace(self.reaping, report_interval=REPORTS)
        for name in USED + UNUSED:
            self.spawning.start(self.alice, name)
        while any(self.server(name).state is not State.READY for name in USED + UNUSED):
            self.work(40)
        self.keys = [ServerKey(self.server(name).id, self.alice.id) for name in USED]

    def minutes(self, count, away=""):
        """Let minutes pass: a sweep each, and the edge's reports, as far as that is not *away*."""
        for _ in range(count):
            self.clock.advance(MINUTE)
            if not away:
                self.edge.look()
            if away != "table":
                self.sweep_once()
                self.sqs.show()
                while self.handle_next():
                    pass
            if not away and self.clock.now().minute % (REPORTS // MINUTE) == 0:
                self.activity.report_seen(dict.fromkeys(self.keys, self.clock.now()))

    def launches_of(self, names):
        return {name: self.server(name).launch_id for name in names if self.server(name).state is State.READY}


def measure():
    """Return the row."""
    found = Found(len(PARTS))
    with moto() as database:
        for away in PARTS:
            stores, queue = in_new_table(database), Sqs()
            hub = Hub(stores, queue)
            hub.minutes(IDLE_MINUTES // 2)
            before = hub.launches_of(USED)
            hub.minutes(2 * IDLE_MINUTES, away)
            hub.minutes(2 * IDLE_MINUTES)
            found.add(before, hub.launches_of(USED).keys(), hub.launches_of(UNUSED).keys())
            progress(f"{away} away: {found.shown()}")
            stores.close()
            queue.close()
    name = f"the same in AWS, in simulated time: table or edge away ({len(PARTS)} times {len(USED)})"
    return [Row(name, "0", found.is_met(), found.shown(), NO_NOTION)]

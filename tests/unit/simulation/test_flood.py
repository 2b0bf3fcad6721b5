"""A flood of strangers at the progress streams, while a class starts: whose concurrency is it?"""

import random
from types import SimpleNamespace

from infra.reservations.handler import reserve
from tests.doubles.gateway import Throttle
from tests.doubles.lambda_concurrency import Concurrency
from tests.simulation.loop import Loop
from tests.simulation.queue import Lane, Mapping
from tests.support.builders import NOW
from tests.support.fakes import StoppedClock

RATE, BURST = 1_000, 2_000  # of the stage; tests/infra compares them
SECONDS, CLASS, SPAWN_SECONDS = 60, 600, 0.3
STRANGERS = 3_000  # requests a second
HELD = 1.2  # seconds that a request holds an environment: most of them start cold


class Flood:
    """One minute of an account: strangers at the streams, a class at the queue, a sweep each ten seconds."""

    def __init__(self, account):
        self.account, self.random = account, random.Random(7)
        self.loop = Loop(StoppedClock(NOW))
        self.throttle = Throttle(RATE, BURST)
        self.lane, self.most = Lane(self.loop, self.random, twice=0), 0
        environment = SimpleNamespace(skew=0, handle=self._spawn)
        self.spawn = Mapping(
            self.loop, self.random, "launches", self.lane, lambda: environment, batch=1, concurrency=account
        )

    def run(self):
        self.loop.every(0.1, self._strangers)
        self.loop.every(10, self._sweep)
        self.loop.at(5, lambda: [self.lane.put("{}") for _ in range(CLASS)])
        self.loop.every(0.1, lambda: self.spawn.poll(0.1))
        try:
            self.loop.run(lambda: False, SECONDS)
        finally:
            self.loop.close()
        return self

    def _strangers(self):
        for _ in range(STRANGERS // 10):
            if self.throttle.takes(self.loop.seconds) and self.account.begin("stream", self.loop.seconds):
                self.loop.after(HELD, lambda: self.account.end("stream"))
        self.most = max(self.most, self.account.running["stream"])

    def _sweep(self):
        if self.account.begin("reaper", self.loop.seconds):
            self.loop.after(2, lambda: self.account.end("reaper"))

    def _spawn(self, event):
        self.loop.sleep(SPAWN_SECONDS)
        return {"batchItemFailures": []}


def test_a_flood_takes_nothing_of_launches_and_sweeps():
    account = Concurrency(1_000)
    reserve(account, {name: name for name in ("reaper", "spawn", "stream")}, 0)

    flood = Flood(account).run()

    assert (account.throttled["spawn"], account.throttled["reaper"]) == (0, 0)
    assert flood.lane.waiting == {}
    assert flood.most == account.reserved["stream"] == 200


def test_without_reservations_the_same_flood_holds_up_a_class():
    account = Concurrency(1_000)

    flood = Flood(account).run()

    assert account.throttled["spawn"] > 0
    assert flood.lane.waiting


def test_the_stage_lets_a_waiting_class_of_2000_through():
    """Browsers ask again every three seconds."""
    throttle = Throttle(RATE, BURST)

    asked = [throttle.takes(second + part / 667) for second in range(30) for part in range(667)]

    assert all(asked)

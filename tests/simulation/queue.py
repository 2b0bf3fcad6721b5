"""SQS and Lambda in simulated time: standard queues, and the event source mapping that feeds a function from one.

As in AWS: messages come at least once (a share of them twice), about in order, and are hidden while somebody works on
them; a mapping reads up to a batch at a time, begins with five functions at once and adds more as long as messages
wait, up to its limit; a function's first run in an environment takes a cold start longer. What is done is deleted,
what failed comes again when it is no longer hidden.
"""

import itertools
import json
import math
from dataclasses import dataclass, field

from hubless.domain import messages
from hubless.domain.messages import MessageKind

AT_FIRST, MORE_A_SECOND = 5, 5  # functions at once (300 a minute)
COLD = (0.8, 1.6)  # seconds of a cold start
DISORDER = 0.5  # seconds by which messages may overtake each other


@dataclass
class Waiting:
    """A message in a queue."""

    number: int
    body: str
    sent_at: float
    visible_at: float
    tries: int = 0
    receipt: str = ""


class Lane:
    """One queue."""

    def __init__(self, loop, random, *, twice=0.01):
        self.loop, self.random, self.twice = loop, random, twice
        self.waiting, self._numbers = {}, itertools.count()
        self.delays, self.most_tries, self.sent = [], 0, 0

    def put(self, body):
        number = next(self._numbers)
        self.sent += 1
        arrives = self.loop.seconds + self.random.random() * DISORDER
        self.waiting[number] = Waiting(number, body, self.loop.seconds, arrives)

    def receive(self, limit, hidden_for):
        now = self.loop.seconds
        ready = [one for one in self.waiting.values() if one.visible_at <= now]
        found = sorted(ready, key=lambda one: one.visible_at)[:limit]
        for one in found:
            one.tries += 1
            one.receipt = f"{one.number}.{one.tries}"
            # At least once: now and then another is given the same.
            one.visible_at = now + (self.random.random() * 2 if self.random.random() < self.twice else hidden_for)
            self.most_tries = max(self.most_tries, one.tries)
            if one.tries == 1:
                self.delays.append(now - one.sent_at)
        return [(one.number, one.receipt, one.body, one.tries) for one in found]

    def hide(self, receipt, seconds):
        one = self.waiting.get(int(receipt.partition(".")[0]))
        if one is not None and one.receipt == receipt:
            one.visible_at = self.loop.seconds + math.ceil(seconds)

    def delete(self, receipt):
        one = self.waiting.get(int(receipt.partition(".")[0]))
        if one is not None and one.receipt == receipt:
            del self.waiting[one.number]


class SimulatedQueue:
    """The hub's queue: one lane for launches, which wait for their turns, and one for all that need not."""

    def __init__(self, launches, others):
        self.launches, self.others = launches, others

    def send(self, message):
        lane = self.launches if message.kind is MessageKind.LAUNCH else self.others
        lane.put(json.dumps(messages.encode(message)))

    def depth(self):
        return sum(len(lane.waiting) for lane in {self.launches, self.others})

    def release(self, receipt, after, now):
        name, _, number = receipt.partition(":")
        {"launches": self.launches, "others": self.others}[name].hide(number, max(0, after.total_seconds()))


@dataclass
class Mapping:
    """Feeds a function from a lane. *function* is made for each environment and called with events."""

    loop: object
    random: object
    name: str
    lane: Lane
    environment: object  # makes one that has a `skew` and can `handle(event)`
    batch: int = 10
    at_once: int = 20
    hidden_for: float = 120
    idle: list = field(default_factory=list)
    running: int = 0
    invocations: int = 0
    environments: int = 0
    busy_seconds: float = 0.0
    allowed: float = AT_FIRST
    concurrency: object = None  # the account's (tests.doubles.lambda_concurrency); None where it never runs out

    def poll(self, seconds):
        """Look for messages; to be called every so many *seconds*."""
        waits = True
        while waits and self.running < min(self.at_once, int(self.allowed)):
            found = self.lane.receive(self.batch, self.hidden_for)
            waits = bool(found)
            if found and self._is_taken():
                self._invoke(found)
            elif found:
                break  # throttled: the messages come again when they are no longer hidden
        self.allowed = self.allowed + MORE_A_SECOND * seconds if waits else max(AT_FIRST, self.allowed - seconds)

    def _is_taken(self):
        return self.concurrency is None or self.concurrency.begin("spawn", self.loop.seconds)

    def _invoke(self, found):
        cold = not self.idle
        place = self.environment() if cold else self.idle.pop()
        self.environments += cold
        self.running += 1
        self.invocations += 1

        def work():
            began = self.loop.seconds
            if cold:
                self.loop.sleep(self.random.uniform(*COLD))
            failed = {one["itemIdentifier"] for one in place.handle(self._event(found))["batchItemFailures"]}
            for _, receipt, _, _ in found:
                if receipt not in failed:
                    self.lane.delete(receipt)
            self.busy_seconds += self.loop.seconds - began
            self.idle.append(place)
            self.running -= 1
            if self.concurrency is not None:
                self.concurrency.end("spawn")

        self.loop.start(work, skew=place.skew)

    def _event(self, found):
        return {
            "Records": [
                {
                    "messageId": receipt,
                    "receiptHandle": receipt,
                    "body": body,
                    "attributes": {"ApproximateReceiveCount": str(tries)},
                    "eventSource": "aws:sqs",
                    "eventSourceARN": f"arn:aws:sqs:eu-central-1:123456789012:{self.name}",
                }
                for _, receipt, body, tries in found
            ]
        }

"""The simulation itself: simulated time, queues as SQS has them, and what limits allow."""

import json
import random
from types import SimpleNamespace

import pytest

from hubless.domain.messages import Message, MessageKind
from tests.simulation.loop import Loop
from tests.simulation.outcome import earliest
from tests.simulation.queue import Lane, Mapping, SimulatedQueue
from tests.support.builders import NOW
from tests.support.fakes import StoppedClock


@pytest.fixture
def loop():
    made = Loop(StoppedClock(NOW))
    yield made
    made.close()


def never():
    return False


def test_time_passes_for_each_process_by_itself_and_in_order(loop):
    seen = []

    def work(name, pauses):
        for pause in pauses:
            loop.sleep(pause)
            seen.append((name, loop.seconds))

    loop.start(lambda: work("slow", [3, 3]))
    loop.start(lambda: work("fast", [1, 1, 5]))
    loop.run(never, 60)

    assert seen == [("fast", 1), ("fast", 2), ("slow", 3), ("slow", 6), ("fast", 7)]


def test_each_process_sees_its_own_clock_and_others_the_right_one(loop):
    seen = {}

    def look(name):
        loop.sleep(10)
        seen[name] = (loop.clock.now() - NOW).total_seconds()

    loop.start(lambda: look("ahead"), skew=2)
    loop.start(lambda: look("behind"), skew=-0.5)
    loop.at(10, lambda: seen.update(right=(loop.clock.now() - NOW).total_seconds()))
    loop.run(never, 60)

    assert seen == {"ahead": 12, "behind": 9.5, "right": 10}


def test_what_a_process_raises_ends_the_simulation(loop):
    def fail():
        loop.sleep(1)
        raise ZeroDivisionError

    loop.start(fail)
    with pytest.raises(ZeroDivisionError):
        loop.run(never, 60)


def test_nothing_happens_after_the_limit_or_once_it_is_done(loop):
    seen = []
    for second in (1, 2, 3):
        loop.at(second, lambda second=second: seen.append(second))
    loop.run(lambda: 1 in seen, 60)
    assert seen == [1]
    loop.run(never, 2.5)
    assert (seen, loop.seconds) == ([1, 2], 2.5)


def test_work_that_sleeps_when_the_simulation_ends_is_given_up():
    loop, seen = Loop(StoppedClock(NOW)), []

    def work():
        loop.sleep(100)
        seen.append("went on")

    loop.start(work)
    loop.run(never, 10)
    loop.close()

    assert seen == []


@pytest.fixture
def lane(loop):
    return Lane(loop, random.Random(1), twice=0)


def test_a_received_message_is_hidden_and_comes_again_unless_deleted(loop, lane):
    lane.put("text")
    seen = []
    for second in (1, 2, 62):
        loop.at(second, lambda: seen.append([tries for _, _, _, tries in lane.receive(10, 60)]))
    loop.run(never, 100)
    assert seen == [[1], [], [2]]


def test_messages_come_twice_now_and_then(loop):
    lane = Lane(loop, random.Random(1), twice=1)
    lane.put("text")
    seen = []
    for second in (1, 4):
        loop.at(second, lambda: seen.extend(lane.receive(10, 60)))
    loop.run(never, 100)
    assert [tries for _, _, _, tries in seen] == [1, 2]


def a_mapping(loop, lane, handle, **how):
    return Mapping(loop, random.Random(1), "hub", lane, lambda: SimpleNamespace(skew=0, handle=handle), **how)


def test_a_processed_message_is_deleted_and_a_failed_one_comes_again(loop, lane):
    seen, queue = [], SimulatedQueue(lane, lane)
    queue.send(Message(MessageKind.LAUNCH, "s1", "l1"))
    queue.send(Message(MessageKind.STOP, "s2", "l2"))

    def handle(event):
        assert len(event["Records"]) <= 2
        failed = []
        for record in event["Records"]:
            tries, kind = int(record["attributes"]["ApproximateReceiveCount"]), json.loads(record["body"])["kind"]
            seen.append((kind, loop.seconds))
            if kind == "launch" and tries == 1:
                lane.hide(record["receiptHandle"], 6.5)
                failed.append({"itemIdentifier": record["messageId"]})
        return {"batchItemFailures": failed}

    mapping = a_mapping(loop, lane, handle, batch=2)
    loop.every(0.5, lambda: mapping.poll(0.5))
    loop.run(lambda: not lane.waiting, 100)

    assert sorted(kind for kind, _ in seen) == ["launch", "launch", "stop"]
    first, second = (at for kind, at in seen if kind == "launch")
    assert 7 <= second - first < 8  # whole seconds, and the next look


def test_a_mapping_starts_with_five_functions_and_scales_up_to_its_limit(loop, lane):
    for _ in range(100):
        lane.put("text")

    def handle(event):
        loop.sleep(100)
        return {"batchItemFailures": []}

    mapping, at_work = a_mapping(loop, lane, handle, batch=1, at_once=12), []
    for second in (1, 2, 3, 4):
        loop.at(second, lambda: (mapping.poll(1), at_work.append(mapping.running)))
    loop.run(never, 50)

    assert at_work == [5, 10, 12, 12]


def test_a_function_starts_cold_once_and_its_environment_is_used_again(loop, lane):
    mapping = a_mapping(loop, lane, lambda event: {"batchItemFailures": []})
    for second in (0, 10, 20):
        loop.at(second, lambda: lane.put("text"))
    loop.every(0.5, lambda: mapping.poll(0.5))
    loop.run(never, 30)

    assert (mapping.invocations, mapping.environments) == (3, 1)


def test_limits_allow_twenty_at_once_and_twenty_a_second():
    starts = earliest([0.0] * 100)

    assert starts == pytest.approx([max(0, number - 19) / 20 for number in range(100)], abs=1e-9)


def test_limits_hold_up_nobody_who_presses_rarely():
    pressed = [number / 15 for number in range(200)]

    assert earliest(pressed) == pressed

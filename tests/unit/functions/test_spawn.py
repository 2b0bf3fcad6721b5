import json
import logging
from datetime import timedelta

import pytest

from functions.spawn.dispatch import handle
from hubless.domain.errors import CapacityUnavailableError, StoreUnavailableError
from hubless.domain.lifecycle import State
from hubless.domain.messages import Message, MessageKind, encode
from hubless.ports.launcher import TaskEvent, TaskPending, TaskRunning
from tests.support.world import World


@pytest.fixture
def hub():
    world = World()
    world.read_event = lambda event: event.get("received")
    return world


def a_record(message, name="m1", tries=1):
    body = message if isinstance(message, str) else json.dumps(encode(message))
    return {
        "messageId": name,
        "receiptHandle": f"receipt of {name}",
        "body": body,
        "attributes": {"ApproximateReceiveCount": str(tries)},
    }


def raising(error):
    raise error


def asked(hub, name=""):
    """Request a start and return its message."""
    hub.spawning.start(hub.alice, name)
    return hub.queue.sent.pop()


def test_each_message_of_a_batch_succeeds_or_fails_alone(hub):
    records = [a_record(asked(hub, name), name) for name in ("one", "two")]

    assert handle(hub, {"Records": records}) == {"batchItemFailures": []}
    assert {hub.server(name).state for name in ("one", "two")} == {State.LAUNCHING}


def test_a_message_to_retry_later_does_not_delay_others(hub):
    first, second = asked(hub, "one"), asked(hub, "two")
    launch, refusals = hub.launcher.launch, [CapacityUnavailableError("full", after=timedelta(seconds=7))]

    def full_at_first(order):
        if refusals:
            raise refusals.pop()
        return launch(order)

    hub.launcher.launch = full_at_first
    answer = handle(hub, {"Records": [a_record(first, "m1"), a_record(second, "m2")]})

    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert hub.queue.released == [("receipt of m1", timedelta(seconds=7))]
    assert (hub.server("one").state, hub.server("two").state) == (State.REQUESTED, State.LAUNCHING)


def test_a_released_message_returns_to_its_own_queue(hub):
    message = asked(hub)
    hub.launcher.refusal = CapacityUnavailableError("full", after=timedelta(seconds=7))
    record = a_record(message) | {"eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:hub-launches"}

    handle(hub, {"Records": [record]})

    assert hub.queue.released == [("hub-launches:receipt of m1", timedelta(seconds=7))]


def test_a_batch_is_answered_even_if_the_queue_is_unreachable(hub):
    first, second = asked(hub, "one"), asked(hub, "two")
    launch, refusals = hub.launcher.launch, [CapacityUnavailableError("full")]
    hub.launcher.launch = lambda order: launch(order) if not refusals else raising(refusals.pop())
    hub.queue.release = lambda *_: raising(StoreUnavailableError("SQS is away"))

    answer = handle(hub, {"Records": [a_record(first, "m1"), a_record(second, "m2")]})

    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert hub.server("two").state is State.LAUNCHING


@pytest.mark.parametrize(("tries", "seconds"), [(1, 2), (3, 8), (5, 32), (50, 60)])
def test_a_failing_message_backs_off(hub, tries, seconds):
    message = asked(hub)
    hub.launcher.launch = None  # a fault of our own

    assert handle(hub, {"Records": [a_record(message, tries=tries)]})["batchItemFailures"]
    assert hub.queue.released == [("receipt of m1", timedelta(seconds=seconds))]


@pytest.mark.parametrize(
    "body", ["", "{", "[]", '"text"', "{}", '{"kind": "dance", "server_id": "s", "launch_id": "l"}']
)
def test_an_unknown_body_fails_alone(hub, body):
    good = asked(hub)

    answer = handle(hub, {"Records": [a_record(body, "bad"), a_record(good, "good")]})

    assert answer == {"batchItemFailures": [{"itemIdentifier": "bad"}]}
    assert hub.server().state is State.LAUNCHING


def test_a_task_event_is_handled_from_the_queue_and_directly(hub):
    hub.launcher.begins_as = TaskPending()
    for name in ("one", "two"):
        handle(hub, {"Records": [a_record(asked(hub, name))]})
    one, two = hub.server("one"), hub.server("two")
    events = {s.name: TaskEvent(s.task, s.id, s.launch_id, TaskRunning("10.0.0.7:8888")) for s in (one, two)}
    hub.read_event = lambda event: events[event["detail"]]

    handle(hub, {"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": "one"})
    handle(hub, {"Records": [a_record(json.dumps({"detail-type": "ECS Task State Change", "detail": "two"}))]})

    assert {hub.server(name).state for name in ("one", "two")} == {State.STARTING}


def test_only_the_keys_of_an_unknown_event_are_logged(hub, caplog):
    caplog.set_level(logging.WARNING)
    assert handle(hub, {"detail-type": "Something", "detail": "a secret"}) == {}
    assert "detail-type" in caplog.text
    assert "a secret" not in caplog.text


def test_a_stop_message_stops_the_server(hub):
    server = hub.running()
    hub.stopping.request(server)

    handle(hub, {"Records": [a_record(Message(MessageKind.STOP, server.id, server.launch_id))]})

    assert hub.server().state is State.STOPPED

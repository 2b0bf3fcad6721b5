"""The cost of positions in a long queue on DynamoDB; one of many callers rewrites the digest, also after a crash."""

from collections import Counter
from datetime import timedelta

import pytest

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.servers import DynamoServerStore
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.lifecycle import State
from tests.support.builders import NOW, a_server
from tests.support.concurrency import MANY, concurrently
from tests.support.dynamodb import Contents, in_new_table

LONG = 600
SIX, MINUTE = timedelta(seconds=6), timedelta(minutes=1)


def came_at(number):
    return NOW - timedelta(seconds=LONG - number)


def waiting(number):
    return a_server(state=State.REQUESTED, entered_at=came_at(number))


@pytest.fixture
def queue(in_moto):
    """A table in which so many wait, one a second."""
    made, table = in_new_table(in_moto), Contents()
    for number in range(LONG):
        key = keys.in_state("requested", came_at(number), f"s{number}")
        table.add({"pk": {"S": key.pk}, "sk": {"S": key.sk}, "to": {"S": f"s{number}"}, "owner": {"S": "u"}})
    yield made.database
    made.close()


class Calls:
    """Counts DynamoDB's calls, and fails those that a test names."""

    def __init__(self, database):
        self._events, self._seen, self.failing = database.client.meta.events, [], lambda name, number: False

    def __enter__(self):
        self._events.register("before-call.dynamodb", self._count)
        return self

    def __exit__(self, *_):
        self._events.unregister("before-call.dynamodb", self._count)

    def _count(self, model, **_):
        self._seen.append(model.name)  # which threads may do at once
        if self.failing(model.name, self._seen.count(model.name)):
            raise StoreUnavailableError("the function died here")

    def take(self):
        seen, self._seen = self._seen, []
        return Counter(seen)


def test_a_digest_is_written_once_and_then_cached(queue):
    with Calls(queue) as calls:
        store = DynamoServerStore(queue)
        assert store.queue_position(waiting(500), NOW) == 500
        assert calls.take() == {"Query": 2, "GetItem": 1, "UpdateItem": 2}  # a hundred, all; the claim and the digest

        assert [store.queue_position(waiting(number), NOW + SIX / 2) for number in (101, 300, 599)] == [101, 300, 599]
        assert calls.take() == {}
        assert store.queue_position(waiting(40), NOW) == 40
        assert calls.take() == {"Query": 1}

        other = DynamoServerStore(queue)
        assert other.queue_position(waiting(500), NOW) == 500
        assert calls.take() == {"Query": 1, "GetItem": 1}


def test_a_digest_is_a_few_kilobytes(queue):
    store = DynamoServerStore(queue)
    store.queue_position(waiting(500), NOW)

    item = Contents().read()[keys.QUEUE_DIGEST]

    assert len(item["marks"]["S"]) < 4096


def test_one_of_many_rewrites_the_digest_after_five_seconds(queue):
    stores = [DynamoServerStore(queue) for _ in range(MANY)]
    for store in stores:
        store.queue_position(waiting(500), NOW)
    queue.delete_many(keys.in_state("requested", came_at(number), f"s{number}") for number in range(50))

    with Calls(queue) as calls:
        received = concurrently(lambda n: stores[n].queue_position(waiting(500), NOW + SIX))
        asked = calls.take()

    assert set(received) <= {450, 500}  # some get a position of the old digest
    assert 450 in received
    assert asked["Query"] == 1
    assert asked["UpdateItem"] <= MANY + 1


def test_without_a_digest_one_caller_writes_it_and_others_get_101(queue):
    with Calls(queue) as calls:
        received = concurrently(lambda n: DynamoServerStore(queue).queue_position(waiting(500), NOW))
        asked = calls.take()

    assert set(received) <= {101, 500}
    assert 500 in received
    assert asked["Query"] == MANY + 1


def test_after_a_crash_another_caller_writes_the_digest(queue):
    store, other = DynamoServerStore(queue), DynamoServerStore(queue)
    store.queue_position(waiting(500), NOW)
    other.queue_position(waiting(500), NOW)
    queue.delete_many(keys.in_state("requested", came_at(number), f"s{number}") for number in range(50))

    with Calls(queue) as calls:
        calls.failing = lambda name, number: name == "UpdateItem" and number == 2
        with pytest.raises(StoreUnavailableError):
            store.queue_position(waiting(500), NOW + SIX)

    assert other.queue_position(waiting(500), NOW + SIX * 1.5) == 500
    assert other.queue_position(waiting(500), NOW + SIX * 2) == 450


def test_an_old_digest_is_not_used(queue):
    DynamoServerStore(queue).queue_position(waiting(500), NOW)
    queue.delete_many(keys.in_state("requested", came_at(number), f"s{number}") for number in range(20, LONG))
    store = DynamoServerStore(queue)

    with Calls(queue) as calls:
        assert store.queue_position(waiting(500), NOW + MINUTE) == 20
        assert calls.take() == {"Query": 1}


def test_a_slow_writer_does_not_overwrite_a_newer_digest(queue):
    slow, fast = DynamoServerStore(queue), DynamoServerStore(queue)

    def overtaken(name, number):
        if name == "Query" and number == 2:
            calls.failing = lambda name, number: False
            fast.queue_position(waiting(500), NOW + SIX)
        return False

    with Calls(queue) as calls:
        calls.failing = overtaken
        assert slow.queue_position(waiting(500), NOW) == 500

    written = Contents().read()[keys.QUEUE_DIGEST]
    assert written["at"]["N"] == str(keys.to_number(NOW + SIX))

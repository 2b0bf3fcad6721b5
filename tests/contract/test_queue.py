"""The queue's promises. Tests move the clock; with MiniStack they wait for the shortest times that SQS allows."""

from contextlib import contextmanager
from datetime import timedelta

import pytest

from embedded import supervisor
from hubless.adapters.sqlite.database import Database
from hubless.adapters.sqlite.queue import MANY_CLAIMS, SqliteQueue
from hubless.domain.messages import Message, MessageKind
from tests.support import sqs
from tests.support.builders import NOW
from tests.support.concurrency import MANY, concurrently

ONE, TWO = Message(MessageKind.LAUNCH, "s1", "l1"), Message(MessageKind.STOP, "s1", "l1", "a text")
SECOND, MICROSECOND = timedelta(seconds=1), timedelta(microseconds=1)


class SqliteReader:
    """A queue and its reader, which reads as the embedded hub's worker does."""

    def __init__(self, queue):
        self.queue, self.now = queue, NOW

    def claim(self, limit=10, seconds=60):
        return self.queue.receive(limit, timedelta(seconds=seconds), self.now)

    def release(self, receipt, after):
        self.queue.release(receipt, after, self.now)

    def delete(self, receipt):
        self.queue.delete(receipt)

    def wait(self, seconds):
        self.now += timedelta(seconds=seconds)


@contextmanager
def in_sqlite(folder):
    database = Database(folder / "hub.sqlite")
    yield SqliteReader(SqliteQueue(database))
    database.close()


@pytest.fixture(params=["sqlite", "sqs-moto", "sqs-ministack"])
def reader(request):
    def given(name):
        return request.getfixturevalue(name)

    if request.param == "sqlite":
        place = in_sqlite(given("tmp_path"))
    elif request.param == "sqs-moto":
        given("in_moto")
        place = sqs.in_moto()
    else:
        place = sqs.in_ministack(given("ministack_url"))
    with place as made:
        yield made


@pytest.fixture
def local(tmp_path):
    """The queue of which more is known than SQS promises."""
    with in_sqlite(tmp_path) as made:
        yield made


def test_messages_arrive_as_they_were_sent(reader):
    reader.queue.send(ONE)
    reader.queue.send(TWO)
    got = reader.claim() + reader.claim()
    assert sorted(g.message.kind for g in got) == [MessageKind.LAUNCH, MessageKind.STOP]
    assert {g.message for g in got} == {ONE, TWO}
    assert [g.attempts for g in got] == [1, 1]


def test_no_more_messages_arrive_than_requested(reader):
    for _ in range(3):
        reader.queue.send(ONE)
    assert len(reader.claim(limit=2)) == 2
    assert len(reader.claim(limit=2)) == 1


def test_a_claimed_message_is_hidden_and_counted(reader):
    reader.queue.send(ONE)
    reader.queue.send(TWO)
    reader.claim(limit=1)
    assert len(reader.claim()) == 1
    assert reader.claim() == []
    assert reader.queue.depth() == 2


def test_an_undeleted_message_is_delivered_again(reader):
    reader.queue.send(ONE)
    reader.claim(seconds=1)
    reader.wait(1.1)
    (again,) = reader.claim()
    assert (again.message, again.attempts) == (ONE, 2)


def test_a_deleted_message_is_not_delivered_again(reader):
    reader.queue.send(ONE)
    (got,) = reader.claim(seconds=1)
    reader.delete(got.receipt)
    assert reader.queue.depth() == 0
    reader.wait(1.1)
    assert reader.claim() == []


def test_a_deleted_message_cannot_be_released(reader):
    reader.queue.send(ONE)
    (got,) = reader.claim()
    reader.delete(got.receipt)
    reader.queue.send(TWO)
    (other,) = reader.claim()
    reader.release(got.receipt, timedelta())
    assert other.receipt != got.receipt
    assert reader.claim() == []
    assert reader.queue.depth() == 1


def test_a_released_message_is_delivered_again_after_its_delay(reader):
    reader.queue.send(ONE)
    (got,) = reader.claim()
    reader.release(got.receipt, SECOND)
    assert reader.claim() == []
    reader.wait(1.1)
    (again,) = reader.claim()
    assert again.attempts == 2


def test_a_message_released_without_delay_is_delivered_at_once(reader):
    reader.queue.send(ONE)
    (got,) = reader.claim()
    reader.release(got.receipt, timedelta())
    reader.wait(0.01)
    assert [g.message for g in reader.claim()] == [ONE]


def test_a_release_may_also_hide_longer(reader):
    reader.queue.send(ONE)
    (got,) = reader.claim(seconds=1)
    reader.release(got.receipt, 60 * SECOND)
    reader.wait(1.1)
    assert reader.claim() == []


def test_the_same_message_may_wait_twice(reader):
    reader.queue.send(ONE)
    reader.queue.send(ONE)
    assert [g.message for g in reader.claim() + reader.claim()] == [ONE, ONE]


def test_eight_concurrent_senders_lose_no_message(reader):
    sent = [Message(MessageKind.STOP, f"s{n}", str(m)) for n in range(MANY) for m in range(5)]
    assert concurrently(lambda n: [reader.queue.send(m) for m in sent if m.server_id == f"s{n}"]) == [[None] * 5] * MANY
    assert reader.queue.depth() == len(sent)
    got = [g.message for _ in range(10) for g in reader.claim()]
    assert sorted((m.server_id, m.launch_id) for m in got) == sorted((m.server_id, m.launch_id) for m in sent)


# --- promises of SQLite that SQS does not make ---


def test_messages_arrive_oldest_first(local):
    local.queue.send(TWO)
    local.queue.send(ONE)
    assert [g.message for g in local.claim()] == [TWO, ONE]


def test_times_are_exact(local):
    local.queue.send(ONE)
    local.claim(seconds=60)
    local.now = NOW + 60 * SECOND - MICROSECOND
    assert local.claim() == []
    local.now += MICROSECOND
    (got,) = local.claim()
    local.release(got.receipt, 5 * SECOND)
    local.now += 5 * SECOND - MICROSECOND
    assert local.claim() == []
    local.now += MICROSECOND
    assert len(local.claim()) == 1


def test_a_clock_that_is_set_back_hides_no_message_for_as_long(local):
    local.queue.send(ONE)
    (got,) = local.claim()
    local.release(got.receipt, 5 * SECOND)
    local.wait(-3600)
    assert len(local.claim()) == 1
    assert local.claim() == []


def test_launches_whose_turn_it_is_not_wait_on_unclaimed(local):
    for message in (ONE, TWO, Message(MessageKind.LAUNCH, "s2", "l2")):
        local.queue.send(message)

    def claim(held):
        return [got.message for got in local.queue.receive(10, 60 * SECOND, local.now, held=held)]

    assert claim({"l1", "l2"}) == [TWO]  # a stop does not wait
    assert claim({"l2"}) == [ONE]
    assert claim(()) == [Message(MessageKind.LAUNCH, "s2", "l2")]


def test_receipts_of_a_lost_claim_do_nothing(local):
    local.queue.send(ONE)
    (lost,) = local.claim()
    local.wait(60)
    (held,) = local.claim()
    local.delete(lost.receipt)
    local.release(lost.receipt, timedelta())
    assert local.queue.depth() == 1
    assert local.claim() == []
    local.delete(held.receipt)
    local.delete(held.receipt)
    assert local.queue.depth() == 0


def test_what_a_worker_had_claimed_that_is_gone_comes_at_once(local):
    local.queue.send(ONE)
    (lost,) = local.claim()
    assert local.claim() == []
    local.queue.end_claims()
    (again,) = local.claim()
    assert (again.message, again.attempts) == (ONE, 2)
    local.delete(lost.receipt)
    assert local.queue.depth() == 1


def test_a_message_that_ends_each_worker_does_not_end_the_hub(local):
    local.queue.send(ONE)
    for _ in range(MANY_CLAIMS):
        assert len(local.claim(seconds=30)) == 1
        local.queue.end_claims()
    assert local.claim() == []
    local.wait(30)
    assert len(local.claim()) == 1
    assert MANY_CLAIMS + 1 < supervisor.MAX_CRASHES  # one more within that minute


def test_of_eight_concurrent_workers_each_message_goes_to_one(local):
    sent = [Message(MessageKind.LAUNCH, f"s{n}", f"l{n}") for n in range(40)]
    for message in sent:
        local.queue.send(message)

    def work(_):
        got = []
        for _turn in range(60):
            got += local.claim(limit=3)
        return got

    got = [g for some in concurrently(work) for g in some]
    assert sorted(g.message.launch_id for g in got) == sorted(m.launch_id for m in sent)
